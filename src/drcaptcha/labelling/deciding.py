"""Moving a glyph's label, always with a reason."""

from datetime import datetime

from django.conf import settings
from django.db import transaction

from drcaptcha.errors import NotPossible
from drcaptcha.glyphs.models import Glyph, State
from drcaptcha.labelling.models import Decision
from handwriting.alphabet import ALPHABETS
from handwriting.consensus import agreement


def decide(glyph: Glyph, now: datetime) -> None:
    """Give a glyph the label that its votes agree on now, or none where they don't.

    All votes count, each time anew: a label never outlives the votes that made it. A label that came with the data
    set or from an administrator is not put to the vote.
    """
    if glyph.state == State.CONTROL:
        return
    alphabet = ALPHABETS[settings.DRCAPTCHA_ALPHABET]
    votes = [(source, alphabet.class_of(typed)) for source, typed in glyph.votes.values_list("source", "typed")]
    known = [(source, answer) for source, answer in votes if answer]
    label = agreement(known, settings.DRCAPTCHA_AGREEMENT) or ""
    sources = len({source for source, answer in known if answer == label})
    reason = f"sources that agree: {sources}" if label else "the votes no longer agree"
    _move(glyph, label, State.ACCEPTED if label else State.UNKNOWN, f"{reason}; votes: {len(votes)}", now)


@transaction.atomic
def set_label(glyph: Glyph, label: str, *, reason: str, now: datetime) -> None:
    """Set a label by hand, which makes the glyph a control; an empty label takes it away.

    Raises:
        NotPossible: the label is not a character of the alphabet.
    """
    if label and ALPHABETS[settings.DRCAPTCHA_ALPHABET].class_of(label) is None:
        raise NotPossible(f"{label!r} is not a character of the alphabet {settings.DRCAPTCHA_ALPHABET}.")
    _move(glyph, label, State.CONTROL if label else State.UNKNOWN, reason, now)


def _move(glyph: Glyph, label: str, state: State, reason: str, now: datetime) -> None:
    if (glyph.label, glyph.state) == (label, state):
        return
    Decision.objects.create(glyph=glyph, before=glyph.label, after=label, reason=reason, created=now)
    glyph.label, glyph.state = label, state
    glyph.save(update_fields=["label", "state"])
