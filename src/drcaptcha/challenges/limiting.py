"""Limits: how much may come from one source, and from all visitors of one site, in a minute; and who failed lately.

All server processes count together (``tallies``). A count slides: what came in the minute before counts by the part of
it that is less than a minute ago.
"""

from datetime import datetime

from django.conf import settings

from drcaptcha.challenges import tallies
from drcaptcha.errors import TooManyRequests
from drcaptcha.labelling.sources import source_key
from drcaptcha.sites.models import Site

MINUTE = 60
LONG = 600
"""Seconds for which a failed answer is remembered."""

FAILURES = 30
"""So many failed answers in ``LONG`` seconds, and the source has to wait."""

IDLE = 6
"""By what factor each limit is lower for challenges that can't ask for work. They count towards the others as well."""

LOGINS = 20
"""So many passwords may be tried from one address in ``LONG`` seconds."""


def check_issue(site: Site, source: str, now: datetime, *, idle: bool = False) -> None:
    """Count a challenge that a source, told by its key, asks for; ``idle`` is one that can't ask for work.

    Raises:
        TooManyRequests: its source, or the site, has asked for too many, or the source has failed too often.
    """
    if failures(source, now) > (FAILURES / IDLE if idle else FAILURES):
        raise TooManyRequests(LONG)
    if idle:
        _hold(settings.DRCAPTCHA_RATE / IDLE, _count("idle", source, now, MINUTE))
        _hold(settings.DRCAPTCHA_SITE_RATE / IDLE, _count("idle-site", str(site.pk), now, MINUTE))
    _hold(settings.DRCAPTCHA_RATE, _count("issue", source, now, MINUTE))
    _hold(settings.DRCAPTCHA_SITE_RATE, _count("site", str(site.pk), now, MINUTE))


def check_answer(source: str, now: datetime) -> None:
    """Count an answer of a source.

    Raises:
        TooManyRequests: its source has sent too many.
    """
    _hold(settings.DRCAPTCHA_RATE, _count("answer", source, now, MINUTE))


def check_prediction(address: str, now: datetime) -> None:
    """Count a picture that is sent to be read.

    Raises:
        TooManyRequests: from there too many were.
    """
    _hold(settings.DRCAPTCHA_RATE, _count("prediction", source_key(address, Site.of(None), now), now, MINUTE))


def check_login(address: str, now: datetime) -> None:
    """Count a password that is tried.

    Raises:
        TooManyRequests: from there too many were.
    """
    _hold(LOGINS, _count("login", source_key(address, Site.of(None), now), now, LONG))


def note_failure(source: str, now: datetime) -> None:
    """Remember that an answer of a source was wrong."""
    _count("failure", source, now, LONG)


def failures(source: str, now: datetime) -> float:
    """Return how many answers of a source were wrong lately."""
    return _sum("failure", source, now, LONG)


def issued(site: Site, now: datetime) -> float:
    """Return how many challenges the site has had in the last minute."""
    return _sum("site", str(site.pk), now, MINUTE)


def _hold(most: float, count: float) -> None:
    if most and count > most:
        raise TooManyRequests(MINUTE)


def _count(name: str, key: str, now: datetime, span: int) -> float:
    """Add one; return how many there are now."""
    this, before = (_place(name, key, now, span, back) for back in (0, 1))
    return _slid(tallies.add(this, now.timestamp(), 2 * span, before), now, span)


def _sum(name: str, key: str, now: datetime, span: int) -> float:
    this, before = (_place(name, key, now, span, back) for back in (0, 1))
    return _slid(tallies.read(this, before, now=now.timestamp()), now, span)


def _slid(counts: list[int], now: datetime, span: int) -> float:
    this, before = counts
    return this + (1 - now.timestamp() % span / span) * before


def _place(name: str, key: str, now: datetime, span: int, back: int = 0) -> str:
    return f"drcaptcha.{name}.{key}.{int(now.timestamp()) // span - back}"
