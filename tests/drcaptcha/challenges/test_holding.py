"""Captchas that a process has taken from the pool: more at once when it is busy, none twice."""

from collections.abc import Callable
from datetime import datetime, timedelta

import numpy as np
import pytest
from django.conf import LazySettings

from drcaptcha.challenges import ballots, filling, holding
from drcaptcha.challenges.models import NEVER, Captcha
from drcaptcha.challenges.tokens import Purpose, seal
from drcaptcha.challenges.verifying import verify
from drcaptcha.sites.models import Site

pytestmark = pytest.mark.django_db


@pytest.fixture
def pool(stock: object, now: datetime, rng: np.random.Generator) -> int:
    filling.fill(100, now=now, rng=rng, progress=lambda _: None)
    return 100


def taken(now: datetime) -> int:
    """Return how many captchas are not in the pool."""
    return Captcha.objects.filter(available__gt=now).count()


def test_a_quiet_process_takes_what_it_needs(pool: int, now: datetime) -> None:
    held = holding.Held()
    for minute in range(4):
        assert held.take(now + timedelta(minutes=minute))
    assert taken(now + timedelta(minutes=3)) == 4


def test_a_busy_process_takes_more_and_more_at_once(pool: int, now: datetime) -> None:
    held = holding.Held()
    found = {held.take(now + timedelta(milliseconds=number)).pk for number in range(40)}  # type: ignore[union-attr]
    assert len(found) == 40
    assert taken(now) == 1 + 2 + 4 + 8 + 16 + 32
    held.take(now + timedelta(minutes=1))
    assert taken(now) == 63, "what it holds is handed out first"


def test_who_came_a_moment_before_the_last_who_took_is_no_reason_to_let_go(pool: int, now: datetime) -> None:
    held = holding.Held()
    for number in range(4):
        held.take(now + timedelta(milliseconds=number))
    before = taken(now)
    assert held.take(now + timedelta(milliseconds=2))
    assert (taken(now), held.many) == (before, 4)


def test_what_was_composed_slowly_is_let_go_in_its_time(
    make_captcha: Callable[..., Captcha], now: datetime, settings: LazySettings
) -> None:
    settings.DRCAPTCHA_CHALLENGE_SECONDS = 10
    held = holding.Held()
    assert held.take(now) is None
    assert held.take(now + timedelta(seconds=2)) is None, "another one came meanwhile"
    held.add([make_captcha(available=holding.away_until(now))], now)
    assert held.take(now + timedelta(seconds=11)) is None


def test_processes_take_different_ones(pool: int, now: datetime) -> None:
    here, there = holding.Held(), holding.Held()
    found = [one.pk for _ in range(pool) for held in (here, there) if (one := held.take(now))]
    assert sorted(found) == sorted(Captcha.objects.values_list("pk", flat=True))


def test_what_is_held_too_long_is_let_go_and_returns(pool: int, now: datetime, settings: LazySettings) -> None:
    settings.DRCAPTCHA_CHALLENGE_SECONDS = 60
    held = holding.Held()
    first = [held.take(now) for _ in range(4)]
    late = held.take(now + timedelta(seconds=60))
    assert late
    assert late not in first
    assert taken(now) == 1 + 2 + 4 + 1
    assert Captcha.objects.waiting(now + timedelta(seconds=119)).count() == 92
    assert Captcha.objects.waiting(now + timedelta(seconds=120)).count() == 99


def test_an_answered_captcha_stays_away_before_its_ballot_is_counted(
    make_captcha: Callable[..., Captcha], now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ballots, "count_soon", lambda: None)
    captcha, later = make_captcha(available=now), now + timedelta(days=1)
    verify(seal(Purpose.CHALLENGE, captcha.pk, Site.of(None).pk, now), "eaATOM", address="192.0.2.1", now=now)
    assert holding.Held().take(later) is None
    ballots.count()
    assert Captcha.objects.get().available == NEVER
