import numpy as np
import pytest

from drcaptcha.errors import NotPossible
from drcaptcha.glyphs.models import Glyph, Split, State
from drcaptcha.glyphs.unlabelling import UnlabelSummary, remove_labels
from drcaptcha.labelling.models import Decision


@pytest.fixture
def glyphs(make_glyph):
    """Twelve imported controls, three test glyphs, two accepted by votes and a control that votes made."""
    for character in "ABCDEFGHIJKL":
        make_glyph(character)
    for character in "XYZ":
        make_glyph(character, split=Split.TEST)
    for character in "12":
        Glyph.objects.filter(pk=make_glyph(character).pk).update(state=State.ACCEPTED, given="")
    Glyph.objects.filter(pk=make_glyph("7").pk).update(given="", truth="")


def labels(**of) -> set[str]:
    return set(Glyph.objects.filter(**of).exclude(label="").values_list("label", flat=True))


def test_it_takes_labels_and_keeps_truths(glyphs, now, rng):
    assert remove_labels(5, keep=4, now=now, rng=rng) == UnlabelSummary(unlabelled=5, controls=7)

    unknown = Glyph.objects.unknown()
    assert unknown.count() == 5
    assert set(unknown.values_list("label", flat=True)) == {""}
    assert set(unknown.values_list("truth", flat=True)) < set("ABCDEFGHIJKL")


def test_it_leaves_tests_and_voted_labels_alone(glyphs, now, rng):
    remove_labels(12, keep=0, now=now, rng=rng)

    assert labels(split=Split.TEST) == set("XYZ")
    assert labels(split=Split.TRAIN) == set("127")


@pytest.mark.parametrize(("count", "keep", "spare"), [(9, 4, 8), (13, 0, 12), (1, 12, 0), (1, 100, 0)])
def test_it_refuses_to_take_more_than_can_be_spared(count, keep, spare, glyphs, *, now, rng):
    with pytest.raises(NotPossible, match=f"Only {spare} labels can be removed"):
        remove_labels(count, keep=keep, now=now, rng=rng)
    assert not Glyph.objects.unknown().exists()


@pytest.mark.parametrize("count", [0, -3])
def test_it_refuses_to_take_none(count, glyphs, now, rng):
    with pytest.raises(NotPossible, match="at least 1"):
        remove_labels(count, keep=4, now=now, rng=rng)


def test_a_seed_chooses_the_same_glyphs(glyphs, now):
    chosen = []
    for _ in range(2):
        remove_labels(5, keep=0, now=now, rng=np.random.default_rng(3))
        chosen.append(set(Glyph.objects.unknown().values_list("pk", flat=True)))
        for glyph in Glyph.objects.unknown():
            Glyph.objects.filter(pk=glyph.pk).update(label=glyph.truth, given=glyph.truth, state=State.CONTROL)
    assert chosen[0] == chosen[1]


def test_each_label_that_goes_is_noted(glyphs, now, rng):
    remove_labels(5, keep=4, now=now, rng=rng)

    noted = Decision.objects.filter(after_state=State.UNKNOWN, created=now)
    assert {decision.before for decision in noted} == {glyph.truth for glyph in Glyph.objects.unknown()}


def test_it_goes_on_from_where_it_was(glyphs, now, rng):
    remove_labels(5, keep=4, now=now, rng=rng)
    remove_labels(3, keep=4, now=now, rng=rng)

    assert Glyph.objects.unknown().count() == 8
    with pytest.raises(NotPossible, match="Only 0"):
        remove_labels(1, keep=4, now=now, rng=rng)
