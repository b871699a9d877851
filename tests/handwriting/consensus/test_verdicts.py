import numpy as np
import pytest

from handwriting.alphabet import BALANCED
from handwriting.consensus.beliefs import Beliefs
from handwriting.consensus.reading import Reading
from handwriting.consensus.verdicts import STATES, Tally, Thresholds, given_prior, judge

K = len(BALANCED)
AFFINITY = Reading.initial(BALANCED).affinity


def state(
    *,
    clear: float = 0.0,
    ambiguous: float = 0.0,
    unreadable: float = 0.0,
    votes: int = 3,
    support: int | None = None,
    blind: int = 0,
    given: int = -1,
    agrees: bool = False,
) -> str:
    spread = np.full((1, K), (1 - clear - ambiguous - unreadable) / (K - 1))
    spread[0, 5] = clear
    pairs = np.array([[ambiguous]])
    beliefs = Beliefs(spread, pairs, np.array([[5]]), np.array([[6]]), np.array([unreadable]), np.zeros(1), np.zeros(1))
    tally = Tally(np.array([votes]), np.array([votes if support is None else support]), np.array([blind]))
    verdict = judge(beliefs, tally, given=np.array([given]), agrees=np.array([agrees]), thresholds=Thresholds())
    return STATES[verdict[0]]


def test_nothing_is_accepted_without_a_vote() -> None:
    assert state(clear=0.99999, votes=0, agrees=True) == "unknown"


@pytest.mark.parametrize(
    ("clear", "support", "agrees", "expected"),
    [
        (0.996, 2, False, "accepted"),
        (0.994, 2, False, "provisional"),
        (0.996, 1, False, "provisional"),
        (0.996, 1, True, "accepted"),
        (0.996, 0, True, "provisional"),
        (0.9999, 2, True, "accepted"),
        (0.9999, 3, False, "control"),
    ],
)
def test_acceptance(clear: float, support: int, *, agrees: bool, expected: str) -> None:
    assert state(clear=clear, votes=max(support, 1), support=support, agrees=agrees) == expected


def test_a_dissenting_vote_keeps_a_label_from_gating() -> None:
    assert state(clear=0.9999, votes=5, support=4) == "accepted"


def test_setting_aside() -> None:
    assert state(ambiguous=0.9, votes=4) == "disputed"
    assert state(ambiguous=0.9, votes=2) == "provisional"
    assert state(clear=0.8, votes=Thresholds().patience) == "disputed"
    assert state(clear=0.95, votes=Thresholds().patience) == "provisional"
    assert state(clear=0.95, votes=Thresholds().most) == "disputed"
    assert state(unreadable=0.95, votes=3, blind=2) == "unreadable"
    assert state(unreadable=0.95, votes=3, blind=1) == "provisional"


def test_a_given_label_gates_until_the_evidence_is_against_it() -> None:
    assert state(clear=0.9, given=5, votes=0) == "control"
    assert state(clear=0.4, given=5) == "disputed"


def test_a_given_label_is_doubted_the_more_it_is_missed() -> None:
    misses = np.arange(8)
    chance = given_prior(np.full(8, 3), np.zeros(8), misses, AFFINITY)[:, 3]
    assert chance[0] == pytest.approx(0.99)
    assert (np.diff(chance) < 0).all()
    assert chance[-1] < 0.01


def test_passes_speak_for_it() -> None:
    few, many = given_prior(np.array([3, 3]), np.array([0, 20]), np.array([4, 4]), AFFINITY)[:, 3]
    assert few < 0.3
    assert many > 0.99


def test_a_prior_of_a_given_label_adds_up_to_one() -> None:
    prior = given_prior(np.arange(K), np.zeros(K), np.arange(K), AFFINITY)
    assert prior.sum(1) == pytest.approx(np.ones(K))
