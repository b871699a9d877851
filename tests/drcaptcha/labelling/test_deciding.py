from collections.abc import Callable
from datetime import datetime, timedelta

import pytest

from drcaptcha.errors import NotPossible
from drcaptcha.glyphs.models import Glyph, State
from drcaptcha.labelling import voting
from drcaptcha.labelling.deciding import set_label
from drcaptcha.labelling.models import Decision
from drcaptcha.labelling.sources import source_of
from drcaptcha.sites.models import Site

pytestmark = pytest.mark.django_db
MakeGlyph = Callable[..., Glyph]


def vote(glyph: Glyph, typed: str, visitor: int, now: datetime) -> str:
    """Let one visitor type something for a glyph, and return the label it has then."""
    source = source_of(f"192.0.2.{visitor}", Site.of(None), now)
    captcha = glyph.votes.count() + 1
    voting.record({glyph.pk: typed}, source=source, captcha=captcha, now=now + timedelta(seconds=captcha))
    glyph.refresh_from_db()
    return glyph.label


def test_a_label_can_be_overturned_by_later_votes(make_glyph: MakeGlyph, now: datetime) -> None:
    glyph = make_glyph(truth="A")
    labels = [vote(glyph, typed, visitor, now) for visitor, typed in enumerate("HHAAA")]
    assert labels == ["", "H", "H", "", "A"]
    assert [decision.after for decision in glyph.decisions.order_by("pk")] == ["H", "", "A"]


def test_the_two_cases_of_a_merged_letter_agree(make_glyph: MakeGlyph, now: datetime) -> None:
    glyph = make_glyph()
    assert [vote(glyph, typed, visitor, now) for visitor, typed in enumerate("cC")] == ["", "C"]


def test_look_alikes_do_not_agree(make_glyph: MakeGlyph, now: datetime) -> None:
    glyph = make_glyph()
    assert [vote(glyph, typed, visitor, now) for visitor, typed in enumerate("0O0")] == ["", "", "0"]


def test_what_is_no_character_is_kept_but_does_not_count(make_glyph: MakeGlyph, now: datetime) -> None:
    glyph = make_glyph()
    assert [vote(glyph, "?", visitor, now) for visitor in range(3)] == ["", "", ""]
    assert glyph.votes.count() == 3


def test_visitors_can_not_move_a_given_label(make_glyph: MakeGlyph, now: datetime) -> None:
    glyph = make_glyph("A")
    assert [vote(glyph, "B", visitor, now) for visitor in range(3)] == ["A", "A", "A"]
    assert glyph.votes.count() == 3


def test_the_truth_is_never_touched(make_glyph: MakeGlyph, now: datetime) -> None:
    glyph = make_glyph(truth="A")
    vote(glyph, "B", 1, now)
    vote(glyph, "B", 2, now)
    assert (glyph.label, glyph.truth) == ("B", "A")


def test_an_administrator_sets_a_label_and_takes_it_back(make_glyph: MakeGlyph, now: datetime) -> None:
    glyph = make_glyph()
    set_label(glyph, "Q", reason="looked at it", now=now)
    assert (glyph.label, glyph.state) == ("Q", State.CONTROL)
    set_label(glyph, "", reason="was wrong", now=now)
    glyph.refresh_from_db()
    assert (glyph.label, glyph.state) == ("", State.UNKNOWN)
    assert list(Decision.objects.values_list("reason", flat=True)) == ["looked at it", "was wrong"]


def test_an_administrator_can_not_set_what_is_no_character(make_glyph: MakeGlyph, now: datetime) -> None:
    with pytest.raises(NotPossible, match="not a character"):
        set_label(make_glyph(), "?", reason="slip", now=now)
