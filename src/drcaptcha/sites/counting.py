"""Counting what happens on a site, day by day, in one statement each however many come at once.

Responses, and challenges of sites without a quota, are noted first and written down soon after, many at once. What a
process has noted and not written down is lost where it is killed.
"""

import math
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from threading import Lock

from django.db import connection, transaction
from django.db.models import F, OuterRef, Subquery

from drcaptcha.errors import QuotaReached
from drcaptcha.sites.models import Site, Traffic
from drcaptcha.turns import turn

COLUMNS = ("issued", "passed", "failed", "redeemed", "labels")

DAYS = 30
"""How far back the days of a site are told."""


def count(site: int, day: date, **events: int) -> None:
    """Add events, named as the columns of ``Traffic``, to a site's day (UTC).

    The row is held until the transaction ends, so a flow counts last.
    """
    _add(site, day, events)


def take_from_quota(site: Site, now: datetime) -> None:
    """Count a challenge, unless the site has had as many as it may have today.

    Raises:
        QuotaReached: it has.
    """
    if not site.quota:
        note(site.pk, now, issued=1)
    elif not _add(site.pk, day_of(now), {"issued": 1}, most=site.quota):
        moment = now.astimezone(UTC)
        tomorrow = datetime.combine(moment.date() + timedelta(days=1), time(tzinfo=UTC))
        raise QuotaReached(math.ceil((tomorrow - moment).total_seconds()))


def give_back(site: Site, now: datetime) -> None:
    """Take a challenge that could not be issued off the count."""
    if not site.quota:
        note(site.pk, now, issued=-1)
        return
    Traffic.objects.filter(site=site, day=day_of(now), issued__gt=0).update(issued=F("issued") - 1)


def issued_today(now: datetime) -> Subquery:
    """Return how many challenges each of the sites of a query has had today, as a part of it; null for none."""
    return Subquery(Traffic.objects.filter(site=OuterRef("pk"), day=day_of(now)).values("issued")[:1])


def days(site: Site, now: datetime) -> list[Traffic]:
    """Return the last ``DAYS`` days of a site on which there was something to count, the latest first."""
    return list(Traffic.objects.filter(site=site, day__gt=day_of(now) - timedelta(days=DAYS)).order_by("-day"))


_noted: dict[tuple[int, date], Counter[str]] = {}
"""Events, by site and day, that are not yet written down."""
_noting = Lock()


def note(site: int, now: datetime, **events: int) -> None:
    """Have events added to a site's day when this process writes down what it has noted."""
    with _noting:
        _noted.setdefault((site, day_of(now)), Counter()).update(events)


def write_down() -> None:
    """Write down what this process has noted. Where that fails it stays noted."""
    with _noting:
        taken = dict(_noted)
        _noted.clear()
    if not taken:
        return
    try:
        with turn(), transaction.atomic():
            for (site, day), events in sorted(taken.items()):
                _add(site, day, events)
    except BaseException:
        with _noting:
            for key, events in taken.items():
                _noted.setdefault(key, Counter()).update(events)
        raise


def _add(site: int, day: date, events: Mapping[str, int], *, most: int = 0) -> int:
    """Return how many rows were written: none, where ``most`` challenges were issued before."""
    values = [events.get(name, 0) for name in COLUMNS]
    firsts = [max(0, value) for value in values]  # What is given back may have been written down before.
    sums = ", ".join(f"{name} = sites_traffic.{name} + %s" for name in COLUMNS)
    limit, limits = (" WHERE sites_traffic.issued < %s", [most]) if most else ("", [])
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO sites_traffic (site_id, day, {', '.join(COLUMNS)}) "  # noqa: S608 -- Names of our own.
            "SELECT id, %s, %s, %s, %s, %s, %s FROM sites_site WHERE id = %s "  # It may have been deleted since.
            f"ON CONFLICT (site_id, day) DO UPDATE SET {sums}{limit}",
            [connection.ops.adapt_datefield_value(day), *firsts, site, *values, *limits],
        )
        return int(cursor.rowcount)


def day_of(now: datetime) -> date:
    """Return the day (UTC) on which something happens."""
    return now.astimezone(UTC).date()
