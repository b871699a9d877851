from collections.abc import Callable
from datetime import datetime

import pytest

from drcaptcha.glyphs.models import Glyph, Split, State
from drcaptcha.labelling import reviewing
from drcaptcha.labelling.reviewing import Queue

pytestmark = pytest.mark.django_db
MakeGlyph = Callable[..., Glyph]


def dispute(glyph: Glyph) -> Glyph:
    Glyph.objects.filter(pk=glyph.pk).update(state=State.DISPUTED, label="")
    return Glyph.objects.get(pk=glyph.pk)


def test_it_counts_what_waits(make_glyph: MakeGlyph) -> None:
    make_glyph("A")
    make_glyph()
    for glyph in (make_glyph("A"), make_glyph(), make_glyph(), make_glyph(split=Split.TEST)):
        dispute(glyph)
    assert reviewing.count() == {Queue.ALL: 3, Queue.GIVEN: 1, Queue.VOTES: 2}


def test_given_labels_that_are_right_are_controls_again(make_glyph: MakeGlyph, now: datetime) -> None:
    given, voted, control = dispute(make_glyph("a")), dispute(make_glyph()), make_glyph("B")
    assert reviewing.confirm([given.pk, voted.pk, control.pk], reason="by ada", now=now) == 1
    given.refresh_from_db()
    assert (given.label, given.state, given.heard_from) == ("a", State.CONTROL, now)
    assert given.decisions.get().reason == "by ada"
    assert not voted.decisions.exists()
    assert not control.decisions.exists()
