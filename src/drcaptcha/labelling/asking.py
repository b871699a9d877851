"""Which glyphs visitors are asked about."""

import numpy as np

from drcaptcha.glyphs.drawing import draw
from drcaptcha.glyphs.models import Glyph

RECHECK = 0.1
"""Share of questions about glyphs that votes have labelled before: an early mistake must stay mendable."""


def choose(count: int, rng: np.random.Generator) -> list[int]:
    """Return the ids of up to ``count`` different glyphs whose label is wanted, in random order."""
    recheck = draw(Glyph.objects.accepted(), int(rng.binomial(count, RECHECK)), rng)
    unknown = draw(Glyph.objects.unknown(), count - len(recheck), rng)
    missing = count - len(recheck) - len(unknown)
    if missing:
        recheck = draw(Glyph.objects.accepted(), len(recheck) + missing, rng)
    chosen = recheck + unknown
    rng.shuffle(chosen)
    return chosen
