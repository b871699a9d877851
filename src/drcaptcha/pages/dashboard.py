"""The figures on the administration's first page."""

from collections.abc import Callable
from datetime import date, datetime, timedelta
from functools import partial
from typing import Any

import numpy as np
from django.conf import settings
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.core.cache import cache
from django.db.models import Count, F, Sum
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.utils import timezone

from drcaptcha.challenges.models import Attack, Captcha
from drcaptcha.glyphs.models import Glyph, Split, State
from drcaptcha.labelling import auditing, reviewing
from drcaptcha.labelling.models import Decision
from drcaptcha.learning import registry
from drcaptcha.learning.models import Run
from drcaptcha.sites import counting, owners
from drcaptcha.sites.models import Site, Traffic
from handwriting.rendering import STYLES

DAYS = 14
"""How far back the labels are drawn."""

SITES = 8
"""How many of the sites that ask most today are shown."""

RUNS = 3
"""How many of the latest runs are shown."""

STATES = (
    State.CONTROL,
    State.ACCEPTED,
    State.PROVISIONAL,
    State.UNKNOWN,
    State.DISPUTED,
    State.UNREADABLE,
)
"""The states of glyphs, the best known first and those set aside last."""

AGE = 30
"""Seconds for which counts are kept that take a good part of a second once there are millions of rows."""


def fill(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    """Add the panels that this administrator may see to the context of the first page."""
    now = timezone.now()
    panels: dict[str, tuple[str, Callable[[datetime], object]]] = {
        "glyphs": ("glyphs.view_glyph", _glyphs),
        "review": ("glyphs.view_glyph", _review),
        "labels": ("labelling.view_decision", _labels),
        "pool": ("challenges.view_captcha", _pool),
        "passes": ("challenges.view_attempt", _passes),
        "best": ("learning.view_ensemble", _best),
        "runs": ("learning.view_run", _runs),
        "sites": ("sites.view_site", partial(_sites, user=request.user)),
    }
    shown = {name: panel(now) for name, (right, panel) in panels.items() if request.user.has_perm(right)}
    return context | {"panels": shown}


def _glyphs(now: datetime) -> dict[str, Any]:  # noqa: ARG001
    counts = cache.get_or_set("drcaptcha.dashboard.glyphs", _count_glyphs, AGE) or {}
    states = [{"name": state.value, "count": counts.get((Split.TRAIN, state), 0)} for state in STATES]
    train = sum(row["count"] for row in states)
    start = 0.0
    for row in states:
        row["start"], row["share"] = start, 100 * row["count"] / train if train else 0
        start += row["share"]
    return {"train": train, "states": states, "total": sum(counts.values()), "test": sum(counts.values()) - train}


def _count_glyphs() -> dict[tuple[str, str], int]:
    rows = Glyph.objects.order_by().values_list("split", "state").annotate(count=Count("pk"))
    return {(split, state): count for split, state, count in rows}


def _review(now: datetime) -> dict[str, int]:  # noqa: ARG001
    return cache.get_or_set("drcaptcha.dashboard.review", reviewing.count, AGE) or {}


def _labels(now: datetime) -> dict[str, Any]:
    """Count the glyphs that got a label, by day, and tell how right the labels are that came from votes."""
    since = _midnight(now) - timedelta(days=DAYS - 1)
    counts = cache.get_or_set("drcaptcha.dashboard.labels", lambda: _count_labels(since), AGE) or {}
    days = [
        {"day": day, "count": counts.get(day, 0)} for day in (since.date() + timedelta(days=n) for n in range(DAYS))
    ]
    highest = max(row["count"] for row in days)
    for index, row in enumerate(days):
        row["left"], row["height"] = index * 10 + 1, 100 * row["count"] / highest if highest else 0
        row["top"] = 100 - row["height"]
    total = sum(row["count"] for row in days)
    audit = cache.get_or_set("drcaptcha.dashboard.audit", _audit, AGE)
    return {"days": days, "total": total, "highest": highest, "width": DAYS * 10, "audit": audit}


def _count_labels(since: datetime) -> dict[date, int]:
    """Count by day, each from the index: to have the database tell the day of every row takes far longer."""
    given = Decision.objects.exclude(after="").exclude(after=F("before"))
    days = [since + timedelta(days=n) for n in range(DAYS)]
    return {day.date(): given.filter(created__gte=day, created__lt=day + timedelta(days=1)).count() for day in days}


def _audit() -> auditing.Audit:
    # The same labels stand for all each time, so that the figure moves only where they do.
    return auditing.audit(np.random.default_rng(0))


def _pool(now: datetime) -> dict[str, Any]:
    level = settings.DRCAPTCHA_DIFFICULTY
    waiting = Captcha.objects.waiting(now).count()
    latest = [Attack.objects.filter(difficulty=name).order_by("-pk").first() for name in STYLES]
    measured = [
        {
            "difficulty": attack.difficulty,
            "set": attack.difficulty == level,
            "share": 100 * attack.pass_rate,
            "nearest": 100 * attack.nearest_neighbour_pass_rate,
            "captchas": attack.captchas,
            "created": attack.created,
        }
        for attack in latest
        if attack
    ]
    current = next((one for one in measured if one["set"]), None)
    return {"available": waiting, "aim": settings.DRCAPTCHA_POOL, "attack": current, "attacks": measured}


def _passes(now: datetime) -> dict[str, Any]:
    counts = Traffic.objects.filter(day=counting.day_of(now)).aggregate(
        attempts=Coalesce(Sum(F("passed") + F("failed")), 0), passed=Coalesce(Sum("passed"), 0)
    )
    return counts | {"rate": 100 * counts["passed"] / counts["attempts"] if counts["attempts"] else None}


def _best(now: datetime) -> dict[str, Any] | None:  # noqa: ARG001
    """Return the ensemble that serves, with its accuracy in percent and what it has lost."""
    champion = registry.champion()
    if champion is None:
        return None
    lost = ", ".join(registry.lost(champion))
    return {"ensemble": champion.ensemble, "share": 100 * champion.accuracy, "lost": lost}


def _runs(now: datetime) -> list[Run]:  # noqa: ARG001
    return list(Run.objects.select_related("ensemble").order_by("-pk")[:RUNS])


def _midnight(now: datetime) -> datetime:
    return now.replace(hour=0, minute=0, second=0, microsecond=0)


def _sites(now: datetime, *, user: AbstractBaseUser | AnonymousUser) -> dict[str, Any]:
    issued = Coalesce(counting.issued_today(now), 0)
    sites = owners.only_of(user, Site.objects.annotate(issued=issued))
    total = sites.aggregate(total=Sum("issued"))["total"] or 0
    return {"total": total, "count": sites.count(), "busiest": list(sites.order_by("-issued", "name")[:SITES])}
