"""How right the labels are that came from votes, as audits have found."""

from dataclasses import dataclass

import numpy as np
from django.db.models import Avg, Count, F, Q

from drcaptcha.glyphs.drawing import draw
from drcaptcha.glyphs.models import Glyph, State
from drcaptcha.labelling.models import Role, Vote
from handwriting.metrics import Estimate, confirmed

LATEST = 20_000
"""So many audits are looked at, the newest: enough for a narrow interval, and as quick with millions of votes."""

FEWEST = 50
"""From fewer audits of either kind nothing is concluded."""

SAMPLE = 2_000
"""Of so many accepted labels, drawn at random, the mean posterior is taken for that of all."""

TRUSTED = 50
"""Sources with no more honesty than this, in percent, tell nothing of labels."""


@dataclass(frozen=True)
class Audit:
    """What audits say of labels that came from votes.

    ``confirmed`` of the ``audits`` of such labels agreed with them, and ``sure_confirmed`` of the ``sure`` audits of
    labels that were given, which tells how often visitors type what is right. ``accuracy`` follows from both; it is
    None where there are too few. ``claimed`` is the mean posterior of accepted labels, None where there are none.
    """

    audits: int
    confirmed: int
    sure: int
    sure_confirmed: int
    accuracy: Estimate | None
    claimed: float | None


def audit(rng: np.random.Generator) -> Audit:
    """Return what the latest audits say; ``rng`` draws the labels whose posteriors stand for all."""
    counts = _count()
    enough = min(counts["audits"], counts["sure"]) >= FEWEST and counts["sure_confirmed"] > 0
    accuracy = (
        confirmed(counts["confirmed"], counts["audits"], counts["sure_confirmed"], counts["sure"]) if enough else None
    )
    return Audit(**counts, accuracy=accuracy, claimed=_claimed(rng))


def _count() -> dict[str, int]:
    """Count the latest audits by honest sources, but for those that an administrator has overruled."""
    stands = Q(glyph__heard_from=None) | Q(created__gte=F("glyph__heard_from"))
    latest = Vote.objects.filter(stands, role=Role.AUDIT, source__honesty__gt=TRUSTED).exclude(known="").order_by("-pk")
    agrees, by_votes = Q(answer=F("known")), Q(glyph__given="")
    return latest[:LATEST].aggregate(
        audits=Count("pk", filter=by_votes),
        confirmed=Count("pk", filter=by_votes & agrees),
        sure=Count("pk", filter=~by_votes),
        sure_confirmed=Count("pk", filter=~by_votes & agrees),
    )


def _claimed(rng: np.random.Generator) -> float | None:
    some = draw(State.ACCEPTED, SAMPLE, rng)
    mean: float | None = Glyph.objects.filter(pk__in=some).aggregate(mean=Avg("posterior"))["mean"]
    return mean
