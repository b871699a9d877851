import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from handwriting.alphabet import BALANCED, BYCLASS
from handwriting.consensus.beliefs import Beliefs, Votes, believe
from handwriting.consensus.reading import Reading

K = len(BALANCED)
READING = Reading.initial(BALANCED)
EVEN = np.full((1, K), 1 / K)

answers = st.integers(0, K + 1)
cast = st.lists(st.tuples(answers, st.integers(1, 99)), max_size=8)


def votes(pairs: list[tuple[int, int]], glyph: int = 0) -> Votes:
    table = np.array(pairs, np.int64).reshape(-1, 2)
    return Votes(np.full(len(table), glyph), table[:, 0], table[:, 1])


def beliefs(typed: str, honesty: int = 90, prior: np.ndarray = EVEN, level: int = 0) -> Beliefs:
    pairs = [(K if one == "?" else BALANCED.classes.index(one), honesty) for one in typed]
    return believe(prior, np.array([level]), votes(pairs), READING)


def share(of: Beliefs, character: str) -> float:
    return float(of.clear[0, BALANCED.classes.index(character)])


def surely(character: str, chance: float) -> np.ndarray:
    prior = np.full((1, K), (1 - chance) / (K - 1))
    prior[0, BALANCED.classes.index(character)] = chance
    return prior


@given(cast, st.integers(0, 2))
def test_what_a_glyph_may_be_adds_up_to_one(pairs: list[tuple[int, int]], level: int) -> None:
    said = believe(EVEN, np.array([level]), votes(pairs), READING)
    total = said.clear.sum() + said.pairs.sum() + said.unreadable.sum()
    assert total == pytest.approx(1)
    assert said.distribution.sum() == pytest.approx(1)


@given(cast, st.randoms(use_true_random=False))
def test_the_order_of_votes_does_not_matter(pairs: list[tuple[int, int]], chance: object) -> None:
    shuffled = list(pairs)
    chance.shuffle(shuffled)
    one, other = (believe(EVEN, np.array([1]), votes(some), READING) for some in (pairs, shuffled))
    assert np.array_equal(one.clear, other.clear)
    assert np.array_equal(one.pairs, other.pairs)
    assert np.array_equal(one.unreadable, other.unreadable)


@given(cast, cast)
def test_glyphs_do_not_touch_each_other(pairs: list[tuple[int, int]], others: list[tuple[int, int]]) -> None:
    alone = believe(EVEN, np.array([0]), votes(pairs), READING)
    first, second = votes(others), votes(pairs, glyph=1)
    both = Votes(*(np.concatenate([getattr(v, f) for v in (first, second)]) for f in ("glyph", "answer", "honesty")))
    together = believe(np.repeat(EVEN, 2, axis=0), np.zeros(2, np.int64), both, READING)
    assert together.clear[1] == pytest.approx(alone.clear[0], abs=1e-12)
    assert together.unreadable[1] == pytest.approx(alone.unreadable[0], abs=1e-12)


@given(st.integers(0, K - 1), st.integers(1, 6), st.integers(60, 99))
def test_one_more_vote_for_it_never_makes_a_character_less_likely(label: int, count: int, honesty: int) -> None:
    fewer, more = (believe(EVEN, np.array([0]), votes([(label, honesty)] * n), READING) for n in (count, count + 1))
    assert more.clear[0, label] >= fewer.clear[0, label] - 1e-9


def test_without_votes_the_prior_stands() -> None:
    said = believe(surely("A", 0.9), np.array([1]), votes([]), READING)
    assert share(said, "A") == pytest.approx(0.9, abs=0.02)


def test_two_that_agree_are_nearly_certain_and_one_is_not() -> None:
    assert share(beliefs("M"), "M") < 0.95
    assert share(beliefs("MM"), "M") > 0.995


def test_look_alikes_need_more() -> None:
    assert share(beliefs("11"), "1") < 0.995 < share(beliefs("MM"), "M")
    assert share(beliefs("111"), "1") > 0.995


def test_a_network_that_agrees_is_worth_a_vote() -> None:
    assert share(beliefs("M", prior=surely("M", 0.9), level=2), "M") > 0.995


def test_where_many_programs_vote_agreement_with_the_network_tells_little() -> None:
    prior, few, many = surely("M", 0.9), READING.learned(machines=0.005), READING.learned(machines=0.2)
    agree = votes([(BALANCED.classes.index("M"), 90)])
    left = [float(1 - believe(prior, np.array([2]), agree, one).clear.max()) for one in (few, many)]
    assert left[1] > 5 * left[0]


def test_programs_are_not_looked_for_where_no_network_has_an_opinion() -> None:
    few, many = (believe(EVEN, np.array([0]), votes([(5, 90)]), READING.learned(machines=share)) for share in (0, 0.2))
    assert np.array_equal(few.clear, many.clear)


def test_an_even_split_between_look_alikes_is_two_characters() -> None:
    said = beliefs("0O0O0O")
    assert said.ambiguous[0] > 0.5
    assert said.distribution[0, [BALANCED.classes.index(c) for c in "0O"]] == pytest.approx([0.5, 0.5], abs=0.05)


def test_people_who_contradict_a_sure_network_and_agree_may_both_be_right() -> None:
    said = beliefs("HH", prior=surely("M", 0.97), level=1)
    assert said.ambiguous[0] > 10 * beliefs("MM", prior=surely("M", 0.97), level=1).ambiguous[0]


def test_who_says_that_it_can_not_be_read_is_believed() -> None:
    assert beliefs("???").unreadable[0] > 0.9
    assert beliefs("?MMMM").unreadable[0] < 0.01


def test_the_votes_of_liars_count_for_nothing() -> None:
    assert share(beliefs("MMM", honesty=2), "M") < 0.1


def test_agreement_of_doubtful_sources_never_becomes_certainty() -> None:
    """Lies that were agreed upon explain any number of equal votes, where the sources may well lie."""
    against = surely("A", 0.99)
    assert share(beliefs("MMM", honesty=30, prior=against), "M") < 0.5
    assert share(beliefs("MMM", honesty=95, prior=against), "M") > 0.9


@pytest.mark.parametrize("alphabet", [BALANCED, BYCLASS], ids=lambda one: one.name)
def test_how_people_read_is_a_table_of_probabilities(alphabet: object) -> None:
    reading = Reading.initial(alphabet)
    assert reading.confusion.sum(2) == pytest.approx(np.ones(reading.confusion.shape[:2]))
    assert reading.junk.sum() == pytest.approx(1)
    assert reading.blind.sum() == pytest.approx(1)
    assert np.array_equal(reading.affinity, reading.affinity.T)


def test_parameters_survive_storing() -> None:
    counts = np.zeros_like(READING.counts)
    counts[1, 3, 4] = 7.5
    learned = READING.learned(counts=counts, honesty=0.71, ambiguity=0.06)
    again = Reading.from_json(learned.to_json(), BALANCED)
    assert np.array_equal(again.confusion, learned.confusion)
    assert (again.honesty, again.ambiguity) == (0.71, 0.06)


def test_counts_of_another_alphabet_are_left_out() -> None:
    counts = np.ones_like(READING.counts)
    again = Reading.from_json(READING.learned(counts=counts, honesty=0.6).to_json(), BYCLASS)
    assert again.honesty == 0.6
    assert not again.counts.any()
