from collections.abc import Callable

import numpy as np
import pytest

from drcaptcha.errors import NotPossible
from drcaptcha.glyphs.models import DataSet, Glyph, Split
from drcaptcha.learning import examples, freezing
from drcaptcha.learning.examples import Examples
from handwriting.alphabet import BALANCED, Alphabet

RNG = np.random.default_rng


def training(*, subset: int | None, rng: np.random.Generator) -> Examples:
    return freezing.freeze(BALANCED, subset=subset, rng=rng).examples()


def test_labels_become_the_index_of_their_class(make_glyph: Callable[..., Glyph]) -> None:
    made = [make_glyph(label) for label in ("c", "C", "a", "7")]
    found = training(subset=None, rng=RNG(0))
    assert [BALANCED.classes[index] for index in found.labels] == ["C", "C", "a", "7"]
    np.testing.assert_array_equal(found.glyphs, [glyph.array for glyph in made])


def test_unknown_and_test_glyphs_are_not_learned_from(make_glyph: Callable[..., Glyph]) -> None:
    make_glyph(truth="A")
    make_glyph("B", split=Split.TEST)
    make_glyph("C")
    make_glyph("D")
    found = training(subset=None, rng=RNG(0))
    assert [BALANCED.classes[index] for index in found.labels] == ["C", "D"]


def test_a_label_that_does_not_say_which_class_teaches_nothing(make_glyph: Callable[..., Glyph]) -> None:
    for label in "AKK":
        make_glyph(label, caseless=True)
    found = training(subset=None, rng=RNG(0))
    assert [BALANCED.classes[index] for index in found.labels] == ["K", "K"]
    assert DataSet.objects.get().caseless


def test_characters_of_another_alphabet_are_left_out(add_glyphs: Callable[..., None]) -> None:
    add_glyphs(30, split=Split.TEST)
    assert len(examples.judging(Alphabet("digits", tuple("0123456789")))) == 10


def test_a_subset_is_chosen_by_seed(add_glyphs: Callable[..., None]) -> None:
    add_glyphs(60)
    one, same, other = (training(subset=20, rng=RNG(seed)) for seed in (1, 1, 2))
    assert len(one) == 20
    np.testing.assert_array_equal(one.glyphs, same.glyphs)
    assert not np.array_equal(one.glyphs, other.glyphs)


def test_a_subset_of_more_than_there_are_is_all(add_glyphs: Callable[..., None]) -> None:
    add_glyphs(6)
    assert len(training(subset=100, rng=RNG(0))) == 6


@pytest.mark.usefixtures("db")
def test_it_says_what_is_missing() -> None:
    with pytest.raises(NotPossible, match=r"0 labelled training glyphs.*importemnist"):
        training(subset=None, rng=RNG(0))
    with pytest.raises(NotPossible, match=r"no labelled test glyphs.*importemnist"):
        examples.judging(BALANCED)
    with pytest.raises(NotPossible, match="at least 2"):
        training(subset=1, rng=RNG(0))
