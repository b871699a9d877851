from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handwriting.consensus import honesty

chances = st.floats(1e-4, 1)
parts = st.floats(-1, 1)
NOW = datetime(2026, 1, 1, tzinfo=UTC)


@given(chances, chances, st.floats(0.05, 0.95))
def test_evidence_is_part_of_an_observation(honest: float, junk: float, before: float) -> None:
    part = float(honesty.evidence(np.array(honest), np.array(junk), before))
    assert -1 <= part <= 1
    assert np.sign(round(part, 9)) == np.sign(round(honest - junk, 9)) or abs(part) < 1e-6


@given(chances, st.floats(0.05, 0.95))
def test_what_could_be_either_tells_nothing(chance: float, before: float) -> None:
    assert honesty.evidence(np.array(chance), np.array(chance), before) == pytest.approx(0, abs=1e-9)


def test_honesty_rises_with_what_is_read_right_and_falls_with_lies() -> None:
    def percent(trust: float, doubt: float) -> int:
        return int(honesty.percent(np.array(trust), np.array(doubt), 0.9, 1.0))

    assert [percent(0, 0), percent(5, 0), percent(0, 2)] == [90, 98, 30]


@given(st.floats(0, 50), st.floats(0, 50), st.floats(0.05, 0.95))
def test_honesty_is_never_beyond_doubt(trust: float, doubt: float, general: float) -> None:
    assert 1 <= honesty.percent(np.array(trust), np.array(doubt), general, 1.0) <= 99


def test_evidence_fades_to_half() -> None:
    assert honesty.fade(2.0, NOW, NOW + honesty.HALF_LIFE) == pytest.approx(1.0)
    assert honesty.fade(2.0, NOW, NOW) == 2.0


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 10**6)), min_size=1, max_size=6))
def test_fading_step_by_step_is_fading_at_once(events: list[tuple[float, int]]) -> None:
    total, last = 0.0, NOW
    for part, second in sorted(events, key=lambda event: event[1]):
        moment = NOW + timedelta(seconds=second)
        total, last = honesty.fade(total, last, moment) + part, moment
    age = np.array([(last - NOW).total_seconds() - second for _, second in events])
    assert total == pytest.approx(honesty.faded(np.array([part for part, _ in events]), age).sum())


def test_a_vote_is_not_held_against_itself() -> None:
    """Of a source that has told one lie and nothing else, nothing is known when that lie is left out."""
    trust, doubt = np.array([0.0]), np.array([0.8])
    share, mass = honesty.percent(trust, doubt, 0.9, 1.0), honesty.mass(trust, doubt, 1.0)
    assert share[0] == 50
    assert honesty.without(share, mass, np.array([-0.8]), 1.0)[0] >= 85
    assert honesty.without(share, mass, np.array([0.0]), 1.0)[0] == 50


@given(st.floats(0, 30), st.floats(0, 30), parts)
def test_leaving_a_vote_out_moves_the_other_way(trust: float, doubt: float, part: float) -> None:
    sums = np.array([trust + max(part, 0)]), np.array([doubt + max(-part, 0)])
    share, mass = honesty.percent(*sums, 0.9, 1.0), honesty.mass(*sums, 1.0)
    without = int(honesty.without(share, mass, np.array([part]), 1.0)[0])
    assert without >= share[0] - 1 if part < 0 else without <= share[0] + 1
