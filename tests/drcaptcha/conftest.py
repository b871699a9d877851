"""Glyphs and captchas to test with."""

from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import blake2b

import numpy as np
import pytest
from django.conf import settings
from django.core.cache import cache, caches
from django.utils import timezone

from drcaptcha.challenges import ballots, holding, tallies
from drcaptcha.challenges.composing import _picture
from drcaptcha.challenges.models import CONTROL, Captcha, Slot
from drcaptcha.glyphs.models import DataSet, Glyph, Split, State
from drcaptcha.labelling.models import Role
from drcaptcha.sites import counting


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.fixture(autouse=True)
def fresh_counts() -> None:
    """No test is limited for what others did."""
    if settings.REDIS_URL:
        cache.clear()
    else:
        tallies._table(settings.DRCAPTCHA_TALLIES).clear()


@pytest.fixture(autouse=True)
def fresh_figures() -> None:
    """No test is shown what was counted for others."""
    caches["pages"].clear()


@pytest.fixture(autouse=True)
def counted_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """What answers tell is counted with each."""
    monkeypatch.setattr(ballots, "PAUSE", 0)


@pytest.fixture(autouse=True)
def nothing_held() -> None:
    """No test finds in this process what others have left."""
    holding.held.clear()
    counting._noted.clear()


@pytest.fixture
def now() -> datetime:
    return datetime(2026, 5, 4, 12, 0, tzinfo=UTC)


@pytest.fixture
def make_glyph(db: None, rng: np.random.Generator) -> Callable[..., Glyph]:
    """Make a glyph: a control where a label is given, unknown otherwise."""

    def make(label: str = "", *, truth: str = "", split: str = Split.TRAIN, caseless: bool = False) -> Glyph:
        picture = rng.integers(0, 256, 784, dtype=np.uint8).tobytes()
        name = "caseless" if caseless else "known"
        return Glyph.objects.create(
            data_set=DataSet.objects.get_or_create(name=name, caseless=caseless)[0],
            digest=blake2b(picture, digest_size=16).digest(),
            picture=picture,
            split=split,
            state=State.CONTROL if label else State.UNKNOWN,
            label=label,
            given=label,
            truth=truth or label,
            place=int(rng.integers(2**31)),
        )

    return make


@pytest.fixture
def make_captcha(make_glyph: Callable[..., Glyph], rng: np.random.Generator) -> Callable[..., Captcha]:
    """Make a captcha that reads ``text``, in which the characters of ``known`` are controls."""

    def make(text: str = "eaATOM", known: str = "eaAT", available: datetime | None = None) -> Captcha:
        glyphs = [make_glyph(c if c in known else "", truth=c) for c in text]
        slots = [Slot(g.pk, CONTROL if g.label else Role.PROBE.value, g.accepts() if g.label else "") for g in glyphs]
        captcha = _picture([bytes(g.picture) for g in glyphs], slots, available or timezone.now(), rng)
        captcha.save()
        return captcha

    return make


@pytest.fixture
def stock(make_glyph: Callable[..., Glyph]) -> list[Glyph]:
    """Twenty controls and ten unknown glyphs."""
    return [make_glyph(c) for c in "abdeghnqrtABCDEFGHIJ"] + [make_glyph(truth=c) for c in "KLMNOPQRST"]
