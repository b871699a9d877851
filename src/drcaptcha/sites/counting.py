"""Counting what happens on a site, day by day, in one statement each however many come at once."""

import math
from datetime import UTC, date, datetime, time, timedelta

from django.db import connection
from django.db.models import F, OuterRef, Subquery

from drcaptcha.errors import QuotaReached
from drcaptcha.sites.models import Site, Traffic

COLUMNS = ("issued", "passed", "failed", "redeemed", "labels")

DAYS = 30
"""How far back the days of a site are told."""


def count(site: int, now: datetime, **events: int) -> None:
    """Add events, named as the columns of ``Traffic``, to a site's day.

    The row is held until the transaction ends, so a flow counts last.
    """
    _add(site, now, events)


def take_from_quota(site: Site, now: datetime) -> None:
    """Count a challenge, unless the site has had as many as it may have today.

    Raises:
        QuotaReached: it has.
    """
    if not _add(site.pk, now, {"issued": 1}, most=site.quota):
        moment = now.astimezone(UTC)
        tomorrow = datetime.combine(moment.date() + timedelta(days=1), time(tzinfo=UTC))
        raise QuotaReached(math.ceil((tomorrow - moment).total_seconds()))


def give_back(site: Site, now: datetime) -> None:
    """Take a challenge that could not be issued off the count."""
    Traffic.objects.filter(site=site, day=_day(now), issued__gt=0).update(issued=F("issued") - 1)


def issued_today(now: datetime) -> Subquery:
    """Return how many challenges each of the sites of a query has had today, as a part of it; null for none."""
    return Subquery(Traffic.objects.filter(site=OuterRef("pk"), day=_day(now)).values("issued")[:1])


def days(site: Site, now: datetime) -> list[Traffic]:
    """Return the last ``DAYS`` days of a site on which there was something to count, the latest first."""
    return list(Traffic.objects.filter(site=site, day__gt=_day(now) - timedelta(days=DAYS)).order_by("-day"))


def _add(site: int, now: datetime, events: dict[str, int], *, most: int = 0) -> int:
    """Return how many rows were written: none, where ``most`` challenges were issued before."""
    values = [events.get(name, 0) for name in COLUMNS]
    sums = ", ".join(f"{name} = sites_traffic.{name} + excluded.{name}" for name in COLUMNS)
    limit, limits = (" WHERE sites_traffic.issued < %s", [most]) if most else ("", [])
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO sites_traffic (site_id, day, {', '.join(COLUMNS)}) VALUES (%s, %s, %s, %s, %s, %s, %s) "  # noqa: S608 -- Names of our own.
            f"ON CONFLICT (site_id, day) DO UPDATE SET {sums}{limit}",
            [site, connection.ops.adapt_datefield_value(_day(now)), *values, *limits],
        )
        return int(cursor.rowcount)


def _day(now: datetime) -> date:
    return now.astimezone(UTC).date()
