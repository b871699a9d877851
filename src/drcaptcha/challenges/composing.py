"""Composing captchas of controls and probes."""

from collections.abc import Iterator
from datetime import datetime

import numpy as np

from drcaptcha.challenges.models import CONTROL, Captcha, Slot
from drcaptcha.errors import NotReady
from drcaptcha.glyphs.drawing import draw
from drcaptcha.glyphs.models import Glyph
from drcaptcha.labelling import asking
from drcaptcha.labelling.models import Role
from handwriting import rendering

CONTROLS = (4, 5)
"""Fewest and most controls in a captcha."""

PROBES = (1, 3)
"""Fewest and most probes in a captcha, as long as there are glyphs to ask about."""


def compose(count: int, *, now: datetime, rng: np.random.Generator) -> list[Captcha]:
    """Return ``count`` unsaved captchas, available from ``now`` on.

    Raises:
        NotReady: there are too few controls.
    """
    controls = rng.integers(*CONTROLS, endpoint=True, size=count)
    probes = rng.integers(*PROBES, endpoint=True, size=count)
    known = draw(Glyph.objects.controls(), max(CONTROLS[1], int(controls.sum())), rng)
    if len(known) < CONTROLS[1]:
        raise NotReady(
            f"A captcha needs {CONTROLS[1]} controls, and {len(known)} glyphs have a label. "
            "Import labelled glyphs with importemnist or importfolder."
        )
    wanted = asking.choose(int(probes.sum()), rng)
    glyphs = Glyph.objects.select_related("data_set").in_bulk(known + wanted)
    hands = zip(_deal(known, controls, rng), _deal(wanted, probes, rng), strict=True)
    return [_picture([glyphs[pk] for pk in hand], set(asked), now, rng) for asked, hand in _shuffled(hands, rng)]


def _deal(glyphs: list[int], sizes: np.ndarray, rng: np.random.Generator) -> Iterator[list[int]]:
    """Yield a hand of each size. No hand holds a glyph twice; hands share glyphs only where there are too few."""
    if len(glyphs) >= sizes.sum():
        for start, size in zip(np.cumsum(sizes) - sizes, sizes, strict=True):
            yield glyphs[start : start + size]
    else:
        for size in sizes:
            yield list(rng.choice(glyphs, min(size, len(glyphs)), replace=False)) if glyphs else []


def _shuffled(
    hands: Iterator[tuple[list[int], list[int]]], rng: np.random.Generator
) -> Iterator[tuple[list[int], list[int]]]:
    for known, wanted in hands:
        hand = known + wanted
        rng.shuffle(hand)
        yield wanted, hand


def _picture(glyphs: list[Glyph], asked: set[int], now: datetime, rng: np.random.Generator) -> Captcha:
    picture = rendering.render(np.stack([glyph.array for glyph in glyphs]), rng)
    slots = [
        Slot(glyph.pk, Role.PROBE.value, "") if glyph.pk in asked else Slot(glyph.pk, CONTROL, glyph.accepts())
        for glyph in glyphs
    ]
    return Captcha(
        picture=picture.data,
        media_type=picture.media_type,
        width=picture.width,
        height=picture.height,
        content=slots,
        length=len(slots),
        available=now,
        created=now,
    )
