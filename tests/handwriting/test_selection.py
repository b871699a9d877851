import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handwriting.alphabet import BALANCED
from handwriting.consensus.reading import Reading
from handwriting.selection import COVERAGE, pick, worth

K = len(BALANCED)
READING = Reading.initial(BALANCED)
ANSWERS = READING.likelihood[90, 0].T


def of(*shares: tuple[str, float], blind: float = 0.0, readable: float = 1.0) -> float:
    posterior = np.full((1, K + 1), 1e-6)
    for character, share in shares:
        posterior[0, BALANCED.classes.index(character)] = share
    posterior[0, K] = blind
    posterior /= posterior.sum()
    return float(worth(posterior, ANSWERS, READING.entropy, np.array([readable]))[0])


def test_what_is_known_is_worth_little_and_what_is_open_much() -> None:
    even = float(worth(np.full((1, K + 1), 1 / (K + 1)), ANSWERS, READING.entropy, np.ones(1))[0])
    assert of(("A", 0.999)) < of(("A", 0.8), ("H", 0.2)) < even


def test_what_people_can_not_tell_apart_is_worth_less_than_what_they_can() -> None:
    assert of(("0", 0.5), ("O", 0.5)) < of(("A", 0.5), ("K", 0.5))


def test_what_nobody_can_read_is_worth_least() -> None:
    assert of(("A", 0.5), ("K", 0.5), readable=0.05) < 0.1 * of(("A", 0.5), ("K", 0.5))


@given(st.lists(st.floats(0, 1), min_size=K + 1, max_size=K + 1).filter(lambda row: sum(row) > 0.01))
def test_worth_is_never_negative_nor_more_than_what_is_unknown(row: list[float]) -> None:
    posterior = np.array([row]) / sum(row)
    value = float(worth(posterior, ANSWERS, READING.entropy, np.ones(1))[0])
    unknown = -(posterior * np.log(np.maximum(posterior, 1e-300))).sum()
    assert 0 <= value <= unknown + 1e-6


@given(st.integers(0, 30), st.integers(0, 40))
def test_it_picks_different_ones_and_no_more_than_there_are(count: int, there: int) -> None:
    chosen = pick(np.ones(there), np.ones(there), count, np.random.default_rng(1))
    assert len(chosen) == len(set(chosen.tolist())) == min(count, there)


def test_it_picks_in_proportion_but_forgets_none() -> None:
    rng = np.random.default_rng(1)
    worths = np.array([0.0, 1.0, 3.0])
    counts = np.bincount([pick(worths, np.ones(3), 1, rng)[0] for _ in range(6000)], minlength=3) / 6000
    assert counts[0] == pytest.approx(COVERAGE / 3, abs=0.01)
    assert counts[2] / counts[1] == pytest.approx(3, rel=0.25)


def test_a_glyph_that_stands_for_many_is_picked_more() -> None:
    rng = np.random.default_rng(1)
    counts = np.bincount([pick(np.ones(2), np.array([1.0, 4.0]), 1, rng)[0] for _ in range(4000)]) / 4000
    assert counts[1] == pytest.approx(0.8, abs=0.03)
