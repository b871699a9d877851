from hypothesis import given
from hypothesis import strategies as st

from handwriting.consensus import agreement

VOTES = st.lists(st.tuples(st.integers(0, 6), st.sampled_from("ABC")), max_size=20)


def test_it_waits_for_a_second_source() -> None:
    assert agreement([(1, "A")], 2) is None
    assert agreement([(1, "A"), (2, "A")], 2) == "A"


def test_a_source_that_repeats_itself_counts_once() -> None:
    assert agreement([(1, "A"), (1, "A"), (1, "A")], 2) is None


def test_with_one_source_needed_the_first_answer_counts() -> None:
    assert agreement([(1, "A")], 1) == "A"


def test_a_tie_decides_nothing() -> None:
    assert agreement([(1, "A"), (2, "A"), (3, "B"), (4, "B")], 2) is None


def test_later_votes_can_overturn_a_label() -> None:
    assert agreement([(1, "A"), (2, "A"), (3, "B"), (4, "B"), (5, "B")], 2) == "B"


@given(VOTES, st.integers(1, 4), st.randoms())
def test_the_order_of_votes_does_not_matter(votes: list[tuple[int, str]], needed: int, random: object) -> None:
    shuffled = list(votes)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert agreement(shuffled, needed) == agreement(votes, needed)


@given(VOTES, st.integers(1, 4))
def test_a_label_has_as_many_sources_as_are_needed(votes: list[tuple[int, str]], needed: int) -> None:
    label = agreement(votes, needed)
    if label is not None:
        assert len({source for source, answer in votes if answer == label}) >= needed
