"""Forgetting who came when."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone
from django_tasks_db.models import DBTaskResult

from drcaptcha.challenges import tasks
from drcaptcha.challenges.forgetting import NAMELESS, Forgotten, forget
from drcaptcha.challenges.models import Attempt, Captcha
from drcaptcha.challenges.tokens import Purpose, seal
from drcaptcha.challenges.verifying import verify
from drcaptcha.glyphs.models import Glyph
from drcaptcha.labelling import estimating
from drcaptcha.labelling.models import Salt, Source, Vote
from drcaptcha.sites.models import Site, Traffic

OLD = "192.0.2.1"


@pytest.fixture
def visit(make_captcha: Callable[..., Captcha]) -> Callable[[str, datetime, bool], bool]:
    """Let somebody answer a captcha of its own."""

    def visit_once(address: str, at: datetime, right: bool) -> bool:
        captcha = make_captcha("eaATOM", known="eaAT")
        token = seal(Purpose.CHALLENGE, captcha.pk, Site.of(None).pk, at)
        return verify(token, "eaATOM" if right else "zzzzzz", address=address, now=at).passed

    return visit_once


def labels() -> list[tuple[object, ...]]:
    return list(Glyph.objects.order_by("pk").values_list("pk", "label", "state", "posterior"))


def test_what_is_old_is_forgotten_and_labels_stay(
    visit: Callable[[str, datetime, bool], bool], now: datetime, make_captcha: Callable[..., Captcha]
) -> None:
    long_ago = now - timedelta(days=40)
    assert visit(OLD, long_ago, True)
    assert visit("192.0.2.3", now - timedelta(days=3), True)
    Source.objects.create(site=Site.of(None), key="0" * 64, created=long_ago)
    make_captcha()
    before, traffic = labels(), Traffic.objects.count()
    recent = Source.objects.get(created=now - timedelta(days=3)).key
    would = forget(now=now, days=30, dry_run=True)
    assert (labels(), Attempt.objects.count()) == (before, 2)
    forgotten = forget(now=now, days=30)
    assert forgotten == would == Forgotten(captchas=1, sources=1, nameless=1, sessions=0, tasks=0)
    assert Attempt.objects.count() == 1
    assert Captcha.objects.count() == 2
    assert Vote.objects.count() == 4
    assert Traffic.objects.count() == traffic
    keys = set(Source.objects.values_list("key", flat=True))
    assert len(keys) == 2
    assert {key for key in keys if not key.startswith(NAMELESS)} == {recent}
    assert not Salt.objects.exists()
    assert estimating.relabel(now=now) == 0
    assert labels() == before
    assert forget(now=now, days=30) == Forgotten(0, 0, 0, 0, 0)


def test_the_command_tells_what_it_did(
    visit: Callable[[str, datetime, bool], bool], capsys: pytest.CaptureFixture[str]
) -> None:
    visit(OLD, timezone.now() - timedelta(days=9), False)
    call_command("forget", "--days", "7", "--dry-run")
    assert "would be deleted" in capsys.readouterr().out
    call_command("forget", "--days", "7", "--json")
    assert json.loads(capsys.readouterr().out)["captchas"] == 1
    with pytest.raises(CommandError, match="still needed"):
        call_command("forget", "--days", "1")


def test_the_worker_forgets_every_day(db: None) -> None:
    tasks.keep_forgetting()
    tasks.keep_forgetting()
    (waiting,) = DBTaskResult.objects.all()
    assert waiting.task_path == tasks.forget_daily.module_path
