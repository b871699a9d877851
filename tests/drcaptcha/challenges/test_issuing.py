from collections.abc import Callable
from datetime import datetime, timedelta

import numpy as np
import pytest
from django.core.cache import cache
from django_tasks_db.models import DBTaskResult
from pytest_django import DjangoAssertNumQueries, DjangoCaptureOnCommitCallbacks, Settings

from drcaptcha.challenges import ballots, filling, tasks
from drcaptcha.challenges.issuing import issue
from drcaptcha.challenges.models import Captcha
from drcaptcha.challenges.verifying import verify
from drcaptcha.errors import NotReady, UnknownSite
from drcaptcha.glyphs.models import Glyph
from drcaptcha.labelling.sources import source_key
from drcaptcha.sites.models import Site

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def fresh_cache() -> None:
    cache.clear()


def fill(count: int, now: datetime, rng: np.random.Generator) -> list[int]:
    steps: list[int] = []
    filling.fill(count, now=now, rng=rng, progress=steps.append)
    return steps


def test_it_issues_from_the_pool(stock: list[Glyph], now: datetime, rng: np.random.Generator) -> None:
    fill(3, now, rng)
    challenge = issue(Site.of(None), address="192.0.2.1", now=now, rng=rng)
    assert challenge.picture in {bytes(captcha.picture) for captcha in Captcha.objects.all()}
    assert Captcha.objects.count() == 3


def test_a_captcha_is_with_one_visitor_at_a_time(stock: list[Glyph], now: datetime, rng: np.random.Generator) -> None:
    fill(40, now, rng)
    pictures = {issue(Site.of(None), address="192.0.2.1", now=now, rng=rng).picture for _ in range(60)}
    assert len(pictures) == 60


def test_an_unanswered_captcha_returns_when_its_challenge_is_dead(
    stock: list[Glyph], now: datetime, rng: np.random.Generator, settings: Settings
) -> None:
    fill(1, now, rng)
    first = issue(Site.of(None), address="192.0.2.1", now=now, rng=rng)
    dead = now + timedelta(seconds=2 * settings.DRCAPTCHA_CHALLENGE_SECONDS)
    assert issue(Site.of(None), address="192.0.2.1", now=dead, rng=rng).picture == first.picture


def test_an_answered_captcha_never_returns(stock: list[Glyph], now: datetime, rng: np.random.Generator) -> None:
    fill(1, now, rng)
    first = issue(Site.of(None), address="192.0.2.1", now=now, rng=rng)
    verify(first.token, "wrong", address="192.0.2.1", now=now)
    assert issue(Site.of(None), address="192.0.2.1", now=now + timedelta(days=9), rng=rng).picture != first.picture


def test_an_empty_pool_is_composed_for_and_refilled(
    stock: list[Glyph], now: datetime, rng: np.random.Generator, settings: Settings
) -> None:
    settings.DRCAPTCHA_POOL = 5
    for _ in range(3):
        issue(Site.of(None), address="192.0.2.1", now=now, rng=rng)
    assert DBTaskResult.objects.filter(task_path="drcaptcha.challenges.tasks.refill").count() == 1
    assert filling.top_up(5, now=now, rng=rng) == 5
    assert filling.top_up(5, now=now, rng=rng) == 0


def test_the_worker_refills_the_pool_to_its_level(stock: list[Glyph], settings: Settings) -> None:
    settings.DRCAPTCHA_POOL = 4
    assert tasks.refill.call() == 4
    assert tasks.refill.call() == 0


def test_without_controls_it_says_what_to_do(db: None, now: datetime, rng: np.random.Generator) -> None:
    with pytest.raises(NotReady, match="importemnist"):
        issue(Site.of(None), address="192.0.2.1", now=now, rng=rng)


def test_filling_goes_by_batches(stock: list[Glyph], now: datetime, rng: np.random.Generator) -> None:
    assert fill(120, now, rng) == [50, 50, 20]
    assert Captcha.objects.count() == 120


def test_an_unknown_site_key_is_refused(db: None) -> None:
    assert Site.of(Site.of(None).sitekey) == Site.of(None)
    with pytest.raises(UnknownSite):
        Site.of("nobody")


def test_issuing_costs_few_queries(
    stock: list[Glyph],
    now: datetime,
    rng: np.random.Generator,
    django_assert_max_num_queries: DjangoAssertNumQueries,
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    fill(5, now, rng)
    site = Site.of(None)
    with django_capture_on_commit_callbacks(execute=True):  # The day's first visitor has the salt made.
        source_key("192.0.2.1", site, now)
    # One to find a captcha, one to take it, and two where the transaction begins and ends, within that of the test.
    with pytest.MonkeyPatch.context() as patch, django_assert_max_num_queries(4):
        patch.setattr(ballots, "count_soon", lambda: None)
        issue(site, address="192.0.2.1", now=now, rng=rng)


def test_the_picture_carries_nothing_but_itself(
    stock: list[Glyph], now: datetime, rng: np.random.Generator, make_captcha: Callable[..., Captcha]
) -> None:
    challenge = issue(Site.of(None), address="192.0.2.1", now=now, rng=rng)
    assert challenge.data_url.startswith(f"data:{challenge.media_type};base64,")
    assert not any(chunk in challenge.picture for chunk in (b"tEXt", b"iTXt", b"zTXt", b"eXIf", b"EXIF", b"XMP"))
