"""Composing captchas of controls and probes."""

from collections.abc import Iterator
from datetime import datetime
from typing import TypeVar

import numpy as np
from django.conf import settings

from drcaptcha.challenges.models import CONTROL, Captcha, Slot
from drcaptcha.errors import NotReady
from drcaptcha.glyphs.drawing import draw
from drcaptcha.glyphs.models import SIDE, Glyph, State, accepted
from drcaptcha.labelling import asking
from drcaptcha.labelling.models import Role
from drcaptcha.queries import Prepared
from handwriting import rendering

Card = TypeVar("Card")

CONTROLS = (4, 5)
"""Fewest and most controls in a captcha."""

FREE = (1, 3)
"""Fewest and most glyphs in a captcha that do not gate, as long as there are glyphs to ask about."""

AUDITED = 0.5
"""Share of captchas with two such glyphs or more in which one of them is an audit: its label is known."""


def compose(count: int, *, now: datetime, rng: np.random.Generator, difficulty: str | None = None) -> list[Captcha]:
    """Return ``count`` unsaved captchas, available from ``now`` on, of the difficulty that is set or this one.

    Raises:
        NotReady: there are too few controls.
    """
    hands, glyphs = _pictured(count, rng)
    level = difficulty or settings.DRCAPTCHA_DIFFICULTY
    return [_picture([glyphs[slot.glyph] for slot in hand], hand, now, rng, level) for hand in hands]


def _pictured(count: int, rng: np.random.Generator) -> tuple[list[list[Slot]], dict[int, bytes]]:
    """Deal ``count`` hands, and again where a glyph was deleted since it was drawn; return them with their pictures."""
    while True:
        hands = deal(count, rng)
        keys = {slot.glyph for hand in hands for slot in hand}
        glyphs: dict[int, bytes] = dict(_PICTURES(keys))
        if len(glyphs) == len(keys):
            return hands, glyphs


_PICTURES = Prepared(lambda keys: Glyph.objects.filter(pk__in=keys).values_list("pk", "picture"))
_LABELS = Prepared(lambda keys: Glyph.objects.filter(pk__in=keys).values_list("pk", "label", "data_set__caseless"))


def deal(count: int, rng: np.random.Generator) -> list[list[Slot]]:
    """Return the slots of ``count`` captchas, those that gate and those that don't in random places.

    Raises:
        NotReady: there are too few controls.
    """
    controls = rng.integers(*CONTROLS, endpoint=True, size=count)
    free = rng.integers(*FREE, endpoint=True, size=count)
    audited = ((free > 1) & (rng.random(count) < AUDITED)).astype(int)
    drawn = draw(State.CONTROL, max(CONTROLS[1], int(controls.sum())), rng)
    accepts = {key: accepted(label, caseless=bool(caseless)) for key, label, caseless in _LABELS(drawn)}
    known = [key for key in drawn if key in accepts]  # One may have been deleted since.
    if len(known) < CONTROLS[1]:
        raise NotReady(
            f"A captcha needs {CONTROLS[1]} controls, and {len(known)} glyphs have a label. "
            "Import labelled glyphs with importemnist or importfolder."
        )
    wanted = asking.choose(int((free - audited).sum()), rng)
    # Where nothing is left to ask about, there is nobody to catch either.
    checked = asking.audits(int(audited.sum()), rng) if wanted else []
    hands = zip(
        _deal(known, controls, rng), _deal(wanted, free - audited, rng), _deal(checked, audited, rng), strict=True
    )
    return [
        _shuffled([Slot(key, CONTROL, accepts[key]) for key in gates], asked + audit, rng)
        for gates, asked, audit in hands
    ]


def _deal(cards: list[Card], sizes: np.ndarray, rng: np.random.Generator) -> Iterator[list[Card]]:
    """Yield a hand of each size. No hand holds a card twice; hands share cards only where there are too few."""
    if len(cards) >= sizes.sum():
        for start, size in zip(np.cumsum(sizes) - sizes, sizes, strict=True):
            yield cards[start : start + size]
    else:
        for size in sizes:
            picked = rng.choice(len(cards), min(size, len(cards)), replace=False) if cards else ()
            yield [cards[index] for index in picked]


def _shuffled(gates: list[Slot], free: list[tuple[int, Role]], rng: np.random.Generator) -> list[Slot]:
    """Mix controls and what does not gate; no glyph stands twice."""
    taken = {slot.glyph for slot in gates}
    hand = gates + [Slot(key, role.value, "") for key, role in dict(free).items() if key not in taken]
    rng.shuffle(hand)
    return hand


def _picture(
    glyphs: list[bytes], slots: list[Slot], now: datetime, rng: np.random.Generator, difficulty: str = "normal"
) -> Captcha:
    row = np.stack([np.frombuffer(glyph, np.uint8).reshape(SIDE, SIDE) for glyph in glyphs])
    picture = rendering.render(row, rng, rendering.STYLES[difficulty])
    return Captcha(
        picture=picture.data,
        media_type=picture.media_type,
        width=picture.width,
        height=picture.height,
        content=slots,
        length=len(slots),
        difficulty=difficulty,
        available=now,
        created=now,
    )
