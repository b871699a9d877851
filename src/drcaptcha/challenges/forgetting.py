"""Forgetting: after a while nothing tells any more who came when. Votes and labels stay as they are.

A source stays where votes refer to it, since honesty is one number a source; but its key, by which somebody who has
the secret key and an address could find it, is replaced by a random one.
"""

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.contrib.sessions.models import Session
from django.db import transaction
from django.db.models import Exists, OuterRef, Q, QuerySet
from django_tasks_db.models import DBTaskResult

from drcaptcha.challenges import ballots
from drcaptcha.challenges.models import NEVER, Captcha
from drcaptcha.labelling.models import Miss, Source, Vote
from drcaptcha.labelling.sources import throw_away_salts

FEW = 500
"""Rows that are changed in one transaction, so that visitors never wait long."""

NAMELESS = "-"
"""How the random keys of forgotten sources begin, which no hash does."""


@dataclass(frozen=True)
class Forgotten:
    """How many rows of each kind were deleted, or made nameless."""

    captchas: int
    sources: int
    nameless: int
    sessions: int
    tasks: int


def forget(*, now: datetime, days: int, dry_run: bool = False) -> Forgotten:
    """Delete used captchas with their attempts, sources without votes, ended sessions and tasks; unname sources.

    All that is older than ``days``; a response can be asked for again for one day, so at least two.

    Raises:
        ValueError: ``days`` is less than 2.
    """
    if days < 2:
        raise ValueError("What happened in the last two days is still needed.")
    before = now - timedelta(days=days)
    # Without an attempt are those that were heard and not answered, and those whose site was deleted with its attempts.
    alone = Q(available=NEVER, attempt=None, created__lt=before)
    used = Captcha.objects.filter(alone | Q(attempt__created__lt=before))
    old = Source.objects.filter(created__lt=before)
    heard = Exists(Vote.objects.filter(source=OuterRef("pk"))) | Exists(Miss.objects.filter(source=OuterRef("pk")))
    silent = old.exclude(heard)
    named = old.filter(heard).exclude(key__startswith=NAMELESS)
    sessions = Session.objects.filter(expire_date__lt=now)
    tasks = DBTaskResult.objects.filter(finished_at__lt=before)
    if dry_run:
        return Forgotten(*(rows.count() for rows in (used, silent, named, sessions, tasks)))
    ballots.count()
    throw_away_salts(now.astimezone(UTC).date())
    captchas = _delete(used)
    return Forgotten(captchas, _delete(silent), _unname(named), _delete(sessions), _delete(tasks))


def _delete(rows: QuerySet) -> int:  # type: ignore[type-arg]
    """Delete rows, some at a time, with all that belongs to them; return how many."""
    count = 0
    while keys := list(rows.values_list("pk", flat=True)[:FEW]):
        with transaction.atomic():
            rows.model.objects.filter(pk__in=keys).delete()
        count += len(keys)
    return count


def _unname(sources: QuerySet[Source]) -> int:
    count = 0
    while some := list(sources[:FEW]):
        for source in some:
            source.key = NAMELESS + secrets.token_urlsafe(32)
        with transaction.atomic():
            Source.objects.bulk_update(some, ["key"])
        count += len(some)
    return count
