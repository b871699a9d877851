"""Labels are taken away again, so that there is something to ask about and a truth to compare with."""

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from django.db import transaction

from drcaptcha.errors import NotPossible
from drcaptcha.glyphs.models import FRESH, Glyph, State
from drcaptcha.glyphs.signals import labels_removed

_BATCH = 5_000


@dataclass(frozen=True)
class UnlabelSummary:
    """How many glyphs lost their label, and how many controls are left."""

    unlabelled: int
    controls: int


@transaction.atomic
def remove_labels(count: int, *, keep: int, now: datetime, rng: np.random.Generator) -> UnlabelSummary:
    """Take the label from ``count`` controls at random and leave at least ``keep``. Their truth stays.

    Test glyphs are never touched, nor labels that votes gave. What visitors said of the glyphs until ``now`` does not
    count any more.

    Raises:
        NotPossible: fewer can be spared; then none is touched.
    """
    if count < 1:
        raise NotPossible("The number of labels to remove must be at least 1.")
    known = Glyph.objects.controls().exclude(truth="").exclude(given="").order_by("pk").values_list("pk", flat=True)
    glyphs = np.fromiter(known.iterator(), np.int64)
    spare = max(0, len(glyphs) - keep)
    if count > spare:
        raise NotPossible(
            f"Only {spare:,} labels can be removed: {len(glyphs):,} training glyphs came with one, "
            f"and {keep:,} must stay as controls."
        )
    chosen = np.sort(rng.choice(glyphs, count, replace=False)).tolist()
    for start in range(0, count, _BATCH):
        some = chosen[start : start + _BATCH]
        labels_removed.send(Glyph, labels=dict(Glyph.objects.filter(pk__in=some).values_list("pk", "label")), now=now)
        Glyph.objects.controls().filter(pk__in=some).update(
            label="", given="", state=State.UNKNOWN, posterior=None, worth=FRESH, heard_from=now
        )
    return UnlabelSummary(count, len(glyphs) - count)
