"""Counting what happens on a site, day by day, in one statement each however many come at once.

Challenges of sites without a quota are noted first and written down soon after, many at once. What a process has noted
within its last second is lost where it is killed.
"""

import math
from collections import Counter
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
        _note(site, now, 1)
    elif not _add(site.pk, day_of(now), {"issued": 1}, most=site.quota):
        moment = now.astimezone(UTC)
        tomorrow = datetime.combine(moment.date() + timedelta(days=1), time(tzinfo=UTC))
        raise QuotaReached(math.ceil((tomorrow - moment).total_seconds()))


def give_back(site: Site, now: datetime) -> None:
    """Take a challenge that could not be issued off the count."""
    if not site.quota:
        _note(site, now, -1)
        return
    Traffic.objects.filter(site=site, day=day_of(now), issued__gt=0).update(issued=F("issued") - 1)


def issued_today(now: datetime) -> Subquery:
    """Return how many challenges each of the sites of a query has had today, as a part of it; null for none."""
    return Subquery(Traffic.objects.filter(site=OuterRef("pk"), day=day_of(now)).values("issued")[:1])


def days(site: Site, now: datetime) -> list[Traffic]:
    """Return the last ``DAYS`` days of a site on which there was something to count, the latest first."""
    return list(Traffic.objects.filter(site=site, day__gt=day_of(now) - timedelta(days=DAYS)).order_by("-day"))


_noted: Counter[tuple[int, date]] = Counter()
"""Challenges, by site and day, that are not yet written down."""
_noting = Lock()


def _note(site: Site, now: datetime, issued: int) -> None:
    with _noting:
        _noted[site.pk, day_of(now)] += issued


def write_down() -> None:
    """Write down what this process has noted. Where that fails it stays noted."""
    with _noting:
        taken = dict(_noted)
        _noted.clear()
    try:
        with turn(), transaction.atomic():
            for (site, day), issued in sorted(taken.items()):
                if issued:
                    _add(site, day, {"issued": issued})
    except BaseException:
        with _noting:
            _noted.update(taken)
        raise


def _add(site: int, day: date, events: dict[str, int], *, most: int = 0) -> int:
    """Return how many rows were written: none, where ``most`` challenges were issued before."""
    values = [events.get(name, 0) for name in COLUMNS]
    sums = ", ".join(f"{name} = sites_traffic.{name} + excluded.{name}" for name in COLUMNS)
    limit, limits = (" WHERE sites_traffic.issued < %s", [most]) if most else ("", [])
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO sites_traffic (site_id, day, {', '.join(COLUMNS)}) "  # noqa: S608 -- Names of our own.
            "SELECT id, %s, %s, %s, %s, %s, %s FROM sites_site WHERE id = %s "  # It may have been deleted since.
            f"ON CONFLICT (site_id, day) DO UPDATE SET {sums}{limit}",
            [connection.ops.adapt_datefield_value(day), *values, site, *limits],
        )
        return int(cursor.rowcount)


def day_of(now: datetime) -> date:
    """Return the day (UTC) on which something happens."""
    return now.astimezone(UTC).date()
