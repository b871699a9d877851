"""Drawing glyphs at random, at a cost that does not grow with their number."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from drcaptcha.glyphs.models import Glyph, Split, State
from drcaptcha.queries import Blank, Question, Rows

PLACES = 2**31


@dataclass(frozen=True)
class Window:
    """Glyphs that lie side by side on the wheel: their ids, what one more vote on each is worth, and how many there
    are of their kind, counted where the window holds all and estimated from their density where it does not."""

    keys: list[int]
    worths: list[float]
    population: float


def draw(state: State, count: int, rng: np.random.Generator) -> list[int]:
    """Return the ids of up to ``count`` different training glyphs in this state, in random order.

    Every glyph lies at a random place on a wheel. A window of four times the count is cut from the wheel at a random
    place, and the glyphs are picked from that.
    """
    if not count:
        return []
    rows, _ = _neighbours(state, max(64, 4 * count), rng, "pk")
    picked = rng.choice(len(rows), min(count, len(rows)), replace=False)
    return [rows[index][0] for index in picked]


def window(state: State, size: int, rng: np.random.Generator) -> Window:
    """Return up to ``size`` neighbours on the wheel, from a random place on: training glyphs in this state."""
    rows, start = _neighbours(state, size, rng, "pk", "place", "worth")
    span = (rows[-1][1] - start) % PLACES if len(rows) == size else PLACES
    return Window([row[0] for row in rows], [row[2] for row in rows], len(rows) * PLACES / max(span, 1))


def _neighbours(state: State, size: int, rng: np.random.Generator, *told: str) -> tuple[Rows, int]:
    """Return what is wanted of up to ``size`` neighbours, and the random place from which on they lie.

    Ids and places are read from the index alone, which lies in one piece. All else has the database look for each
    glyph, and among many glyphs each is on another page.
    """
    start = int(rng.integers(PLACES))
    after, before = _walks(size, told)
    rows = after(state, start)
    if len(rows) < size:
        rows += before(state, start)[: size - len(rows)]
    return rows, start


@lru_cache(32)
def _walks(size: int, told: tuple[str, ...]) -> tuple[Question, Question]:
    """Return what asks for so many glyphs of a state from a place of the wheel on, and from its beginning to there."""

    def walk(state: Blank, place: dict[str, Blank]) -> object:
        glyphs = Glyph.objects.filter(split=Split.TRAIN, state=state, **place).order_by("place")
        return glyphs.values_list(*told)[:size]

    return (
        Question(lambda state, start: walk(state, {"place__gte": start})),
        Question(lambda state, start: walk(state, {"place__lt": start})),
    )
