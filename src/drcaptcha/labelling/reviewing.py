"""What waits for an administrator: glyphs that votes can't decide, and given labels that visitors keep failing."""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum

from django.db import transaction
from django.db.models import Q

from drcaptcha.glyphs.models import Glyph, Split, State
from drcaptcha.labelling import deciding


class Queue(StrEnum):
    """What can be reviewed by itself."""

    ALL = "all"
    GIVEN = "given"
    """Controls whose given label visitors keep failing; they gate nothing any more."""
    VOTES = "votes"
    """Glyphs whose votes do not agree."""


def waiting(queue: Queue) -> Q:
    """Return what selects the glyphs of a queue."""
    disputed = Q(split=Split.TRAIN, state=State.DISPUTED)
    return {Queue.ALL: disputed, Queue.GIVEN: disputed & ~Q(given=""), Queue.VOTES: disputed & Q(given="")}[queue]


def count() -> dict[Queue, int]:
    """Return how many glyphs wait in each queue."""
    given = Glyph.objects.filter(waiting(Queue.GIVEN)).count()
    votes = Glyph.objects.filter(waiting(Queue.VOTES)).count()
    return {Queue.ALL: given + votes, Queue.GIVEN: given, Queue.VOTES: votes}


@transaction.atomic
def confirm(glyphs: Iterable[int], *, reason: str, now: datetime) -> int:
    """Keep the given labels of those among these glyphs that wait for it; return how many there were."""
    kept = list(Glyph.objects.filter(waiting(Queue.GIVEN), pk__in=glyphs).order_by("pk"))
    for glyph in kept:
        deciding.set_label(glyph, glyph.given, reason=reason, now=now)
    return len(kept)
