"""Proof of work: what a visitor's machine has to compute for each answer. One try costs little, thousands cost a lot.

It consists of ``COUNT`` puzzles: for each i, a number n such that SHA-256 of ``salt:i:n`` begins with so many zero
bits. Many small ones take nearly the same time for everybody; one large one would not. The salt is the end of the
challenge's own token, so nothing is stored, and checking costs ``COUNT`` hashes. A function that needs much memory
would cost the server as much as the visitor.
"""

import hashlib
import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TypedDict

from django.conf import settings
from django.core.cache import cache
from django.db.models import Max

from drcaptcha.challenges import limiting
from drcaptcha.errors import WorkMissing, WorkWrong
from drcaptcha.sites.models import Site, Traffic

COUNT = 8
"""Puzzles of one challenge."""

SALT = 32
"""Characters at the end of a token, which look random: its seal, and some of what is sealed."""

MOST = 6
"""Bits that may be added to what is set: 64 times as much work, which a slow phone still ends before its challenge."""

RUSH = 10
"""By what factor a minute has to surpass the average one of the site's busiest day before everybody works more."""

RUSH_MOST = 3
"""Bits that a rush may add: it is made by a few addresses as easily as by many people, and all the others wait."""

FEW = 30
"""So many challenges in a minute are no rush on any site."""


class Work(TypedDict):
    """What has to be done, as it is told to the visitor's browser."""

    algorithm: str
    salt: str
    bits: int
    count: int


def bits_for(site: Site, source: str, now: datetime, *, harder: int = 0) -> int:
    """Return how many zero bits a source has to find now: more after failures, and while a site is rushed at.

    ``harder`` are bits that the kind of challenge adds; all that is added has one upper limit. Where ``DRCAPTCHA_WORK``
    is 0, and on the service's own pages, which protect nothing, it is none.
    """
    if not settings.DRCAPTCHA_WORK or site.name == Site.HOME:
        return 0
    failed = limiting.failures(source, now)
    rush = limiting.issued(site, now) / max(FEW, RUSH * _usual(site, now))
    extra = harder + failed / 3 + (min(RUSH_MOST, 2 * math.log2(rush)) if rush > 1 else 0)
    return int(settings.DRCAPTCHA_WORK + min(MOST, extra))


def _usual(site: Site, now: datetime) -> float:
    """Return how many challenges the site has in an average minute of its busiest day of the last seven."""
    key = f"drcaptcha.usual.{site.pk}"
    known: float | None = cache.get(key)
    if known is None:
        days = Traffic.objects.filter(site=site, day__gte=now - timedelta(days=7), day__lt=now)
        known = (days.aggregate(most=Max("issued"))["most"] or 0) / (24 * 60)
        cache.set(key, known, 600)
    return known


def work_for(token: str, bits: int) -> Work | None:
    """Return what has to be done for a challenge with this token, or None where nothing has."""
    return Work(algorithm="SHA-256", salt=token[-SALT:], bits=bits, count=COUNT) if bits else None


def check(token: str, bits: int, found: Sequence[int] | None) -> None:
    """Check that the work was done.

    Raises:
        WorkMissing: nothing was sent.
        WorkWrong: what was sent is no solution.
    """
    if not bits:
        return
    if not found:
        raise WorkMissing
    if len(found) != COUNT or not all(_solves(token, bits, *puzzle) for puzzle in enumerate(found)):
        raise WorkWrong


def _solves(token: str, bits: int, place: int, number: int) -> bool:
    digest = hashlib.sha256(f"{token[-SALT:]}:{place}:{number}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> (64 - bits) == 0
