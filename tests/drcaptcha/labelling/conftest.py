"""Votes to test with."""

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import count

import numpy as np
import pytest

from drcaptcha.glyphs.models import Glyph
from drcaptcha.labelling import voting
from drcaptcha.labelling.models import Role
from drcaptcha.labelling.sources import source_key, stored
from drcaptcha.learning.models import Ensemble, Prior
from drcaptcha.sites.models import Site
from handwriting.alphabet import BALANCED


def source_of(address: str, now: datetime) -> int:
    site = Site.of(None)
    [number] = stored({source_key(address, site, now): site.pk}, now).values()
    return number


@pytest.fixture
def vote(now: datetime) -> Callable[..., Glyph]:
    """Let a visitor, who has read all controls, type something for a glyph; return the glyph as it is then."""
    captchas = count(1)

    def cast(glyph: Glyph, typed: str, visitor: int, *, at: datetime | None = None, role: Role = Role.PROBE) -> Glyph:
        captcha = next(captchas)
        moment = at or now + timedelta(seconds=captcha)
        source = source_of(f"192.0.2.{visitor}", now)
        ballot = voting.Ballot(source, captcha, moment, {glyph.pk: typed}, {glyph.pk: role})
        voting.record([ballot], now=moment)
        return Glyph.objects.get(pk=glyph.pk)

    return cast


@pytest.fixture
def miss(now: datetime) -> Callable[..., Glyph]:
    """Let a visitor fail one control, and read four others right."""
    captchas = count(1000)

    def fail(glyph: Glyph, others: list[Glyph], visitor: int) -> Glyph:
        captcha = next(captchas)
        source = source_of(f"198.51.100.{visitor}", now)
        moment = now + timedelta(seconds=captcha)
        ballot = voting.Ballot(source, captcha, moment, right=[other.pk for other in others], missed=[glyph.pk])
        voting.record([ballot], now=moment)
        return Glyph.objects.get(pk=glyph.pk)

    return fail


@pytest.fixture
def set_prior(db: None) -> Callable[..., None]:
    """Let an ensemble have an opinion of a glyph."""

    def say(glyph: Glyph, **shares: float) -> None:
        ensemble, _ = Ensemble.objects.get_or_create(name="champion")
        said = np.full(len(BALANCED), (1 - sum(shares.values())) / len(BALANCED))
        for character, share in shares.items():
            said[BALANCED.classes.index(character.removeprefix("_"))] += share
        Prior.objects.update_or_create(
            glyph=glyph, defaults={"ensemble": ensemble, "probabilities": said.astype(np.float16).tobytes()}
        )

    return say
