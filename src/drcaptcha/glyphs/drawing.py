"""Drawing glyphs at random, at a cost that does not grow with their number."""

from dataclasses import dataclass

import numpy as np

from drcaptcha.glyphs.models import GlyphQuerySet

PLACES = 2**31


@dataclass(frozen=True)
class Window:
    """Glyphs that lie side by side on the wheel: their ids, what one more vote on each is worth, and how many there
    are of their kind, counted where the window holds all and estimated from their density where it does not."""

    keys: list[int]
    worths: list[float]
    population: float


def draw(glyphs: GlyphQuerySet, count: int, rng: np.random.Generator) -> list[int]:
    """Return the ids of up to ``count`` different glyphs, in random order.

    Every glyph lies at a random place on a wheel. A window of four times the count is cut from the wheel at a random
    place, and the glyphs are picked from that.
    """
    if not count:
        return []
    keys = window(glyphs, max(64, 4 * count), rng).keys
    picked = rng.choice(len(keys), min(count, len(keys)), replace=False)
    return [keys[index] for index in picked]


def window(glyphs: GlyphQuerySet, size: int, rng: np.random.Generator) -> Window:
    """Return up to ``size`` neighbours on the wheel, from a random place on."""
    start = int(rng.integers(PLACES))
    wheel = glyphs.order_by("place").values_list("pk", "place", "worth")
    rows = list(wheel.filter(place__gte=start)[:size])
    if len(rows) < size:
        rows += wheel.filter(place__lt=start)[: size - len(rows)]
    span = (rows[-1][1] - start) % PLACES if len(rows) == size else PLACES
    return Window([row[0] for row in rows], [row[2] for row in rows], len(rows) * PLACES / max(span, 1))
