"""Filling the pool, so that a visitor waits for no rendering."""

from collections.abc import Callable
from datetime import datetime

import numpy as np
from django.conf import settings

from drcaptcha.challenges import attacking
from drcaptcha.challenges.composing import compose
from drcaptcha.challenges.models import Captcha
from drcaptcha.errors import NotReady
from drcaptcha.learning import predicting

BATCH = 50
PATIENCE = 40
"""So many times as many captchas are composed as are wanted, before hardening gives up."""


def fill(
    count: int,
    *,
    now: datetime,
    rng: np.random.Generator,
    progress: Callable[[int], object],
    difficulty: str | None = None,
    harden: bool = False,
) -> int:
    """Add ``count`` captchas to the pool; ``progress`` is told how many each batch has added.

    Each batch is stored when it is made, so an interruption loses no more than one. With ``harden`` only those are kept
    that a program fails; returns how many were thrown away.

    Raises:
        NotReady: there are too few controls, or, with ``harden``, no ensemble serves or nearly all captchas are passed.
    """
    recogniser = predicting.serving() if harden else None
    added = thrown = 0
    while added < count:
        captchas = compose(min(BATCH, count - added), now=now, rng=rng, difficulty=difficulty)
        kept = [one for one in captchas if recogniser is None or attacking.resists(one, recogniser)]
        Captcha.objects.bulk_create(kept)
        added, thrown = added + len(kept), thrown + len(captchas) - len(kept)
        if thrown > PATIENCE * max(added, BATCH):
            raise NotReady(f"Of {added + thrown:,} captchas only {added:,} resisted. Take a higher difficulty.")
        progress(len(kept))
    return thrown


def top_up(level: int, *, now: datetime, rng: np.random.Generator) -> int:
    """Bring the pool up to ``level`` captchas that can be issued now, and return how many were added."""
    missing = max(0, level - Captcha.objects.waiting(now).count())
    fill(missing, now=now, rng=rng, progress=lambda _: None, harden=settings.DRCAPTCHA_HARDEN)
    return missing
