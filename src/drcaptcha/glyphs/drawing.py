"""Drawing glyphs at random, at a cost that does not grow with their number."""

import numpy as np

from drcaptcha.glyphs.models import GlyphQuerySet

PLACES = 2**31


def draw(glyphs: GlyphQuerySet, count: int, rng: np.random.Generator) -> list[int]:
    """Return the ids of up to ``count`` different glyphs, in random order.

    Every glyph lies at a random place on a wheel. A window of four times the count is cut from the wheel at a random
    place, and the glyphs are picked from that.
    """
    if not count:
        return []
    start = int(rng.integers(PLACES))
    size = max(64, 4 * count)
    wheel = glyphs.order_by("place").values_list("pk", flat=True)
    window = list(wheel.filter(place__gte=start)[:size])
    if len(window) < size:
        window += wheel.filter(place__lt=start)[: size - len(window)]
    picked = rng.choice(len(window), min(count, len(window)), replace=False)
    return [window[index] for index in picked]
