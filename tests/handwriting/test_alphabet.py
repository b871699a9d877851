import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handwriting.alphabet import ALPHABETS, BALANCED, BYCLASS, Alphabet

ALPHABET = st.sampled_from(sorted(ALPHABETS)).map(ALPHABETS.__getitem__)


def test_balanced_has_the_47_classes_of_emnist() -> None:
    assert "".join(BALANCED.classes) == "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghnqrt"


@pytest.mark.parametrize(("typed", "name"), [("c", "C"), ("C", "C"), ("a", "a"), ("A", "A"), ("l", "L"), ("7", "7")])
def test_merged_cases_are_one_class(typed: str, name: str) -> None:
    assert BALANCED.class_of(typed) == name


@pytest.mark.parametrize("typed", ["", "?", "é", "ab", " "])
def test_a_stranger_has_no_class(typed: str) -> None:
    assert BALANCED.class_of(typed) is None
    assert BALANCED.index(typed) is None
    assert BALANCED.alike(typed, typed)
    assert not BALANCED.alike(typed, "A")


@pytest.mark.parametrize("group", ["0Oo", "1IilL", "Ff", "q9g", "Ss5", "Zz2"])
@pytest.mark.parametrize("alphabet", [BALANCED, BYCLASS], ids=lambda alphabet: alphabet.name)
def test_look_alikes_pass_for_each_other(alphabet: Alphabet, group: str) -> None:
    assert all(alphabet.alike(one, other) for one, other in itertools.product(group, repeat=2))


@pytest.mark.parametrize("pair", ["aA", "eE", "O8", "1J", "qa", "Qq", "B8", "nN"])
def test_what_people_can_tell_apart_does_not_pass(pair: str) -> None:
    assert not BALANCED.alike(*pair)


@given(ALPHABET, st.characters(), st.characters())
def test_likeness_goes_both_ways(alphabet: Alphabet, one: str, other: str) -> None:
    assert alphabet.alike(one, other) == alphabet.alike(other, one)


@given(ALPHABET)
def test_every_class_has_its_place(alphabet: Alphabet) -> None:
    assert [alphabet.index(name) for name in alphabet.classes] == list(range(len(alphabet)))


def test_overlapping_groups_are_refused() -> None:
    with pytest.raises(ValueError, match="disjoint"):
        Alphabet("odd", ("A", "B", "C"), {}, ("AB", "BC"))


@pytest.mark.parametrize("alphabet", [BALANCED, BYCLASS])
def test_folds_are_equal_for_look_alikes_alone(alphabet: Alphabet) -> None:
    for one, fold in zip(alphabet.classes, alphabet.folds, strict=True):
        for other, its in zip(alphabet.classes, alphabet.folds, strict=True):
            assert (fold == its) == alphabet.alike(one, other)
