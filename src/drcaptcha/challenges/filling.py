"""Filling the pool, so that a visitor waits for no rendering."""

from collections.abc import Callable
from datetime import datetime

import numpy as np

from drcaptcha.challenges.composing import compose
from drcaptcha.challenges.models import Captcha

BATCH = 50


def fill(count: int, *, now: datetime, rng: np.random.Generator, progress: Callable[[int], object]) -> None:
    """Add ``count`` captchas to the pool; ``progress`` is told how many each batch has added.

    Each batch is stored when it is made, so an interruption loses no more than one.
    """
    for start in range(0, count, BATCH):
        captchas = compose(min(BATCH, count - start), now=now, rng=rng)
        Captcha.objects.bulk_create(captchas)
        progress(len(captchas))


def top_up(level: int, *, now: datetime, rng: np.random.Generator) -> int:
    """Bring the pool up to ``level`` captchas that can be issued now, and return how many were added."""
    missing = max(0, level - Captcha.objects.filter(available__lte=now).count())
    fill(missing, now=now, rng=rng, progress=lambda _: None)
    return missing
