"""Ballots are stored with answers, and counted soon after, each once."""

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from threading import Thread

import pytest
from django.db import InterfaceError, InternalError, OperationalError, connection
from django.utils import timezone

from drcaptcha.challenges import ballots
from drcaptcha.challenges.models import Attempt, Captcha
from drcaptcha.challenges.tokens import Purpose, seal
from drcaptcha.challenges.verifying import verify
from drcaptcha.glyphs.models import Glyph
from drcaptcha.labelling import estimating, tasks, voting
from drcaptcha.labelling.models import Decision, Miss, Source, Vote
from drcaptcha.sites.models import Site, Traffic


@pytest.fixture
def answered(make_captcha: Callable[..., Captcha], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Attempt]:
    """Answer a captcha, and leave what it tells uncounted."""
    monkeypatch.setattr(ballots, "count_soon", lambda: None)

    def answer(typed: str = "eaATOM", visitor: int = 1, now: datetime | None = None) -> Attempt:
        captcha, moment = make_captcha(), now or timezone.now()
        verify(
            seal(Purpose.CHALLENGE, captcha.pk, Site.of(None).pk, moment),
            typed,
            address=f"192.0.2.{visitor}",
            now=moment,
        )
        return Attempt.objects.get(captcha=captcha)

    return answer


@pytest.mark.django_db
def test_what_waits_is_counted_once_as_of_its_time(answered: Callable[..., Attempt], now: datetime) -> None:
    answered(now=now)
    answered("eaAxOM", visitor=2, now=now)
    assert not Vote.objects.exists()
    assert (ballots.count(), ballots.count()) == (2, 0)
    assert set(Vote.objects.values_list("typed", "created")) == {("O", now), ("M", now)}
    assert Miss.objects.get().created == now
    assert estimating.relabel(now=now) == 0


@pytest.mark.django_db
def test_of_a_failed_answer_nothing_typed_is_stored(answered: Callable[..., Attempt]) -> None:
    told = answered("eaAxOM").ballot or ""
    assert "x" not in told
    assert "O" not in told
    ballots.count()
    assert Attempt.objects.get().ballot is None


@pytest.mark.django_db
def test_one_that_cannot_be_counted_holds_up_no_other(
    answered: Callable[..., Attempt], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ballots, "_aside", set())
    monkeypatch.setattr(ballots, "MOST", 2)
    spoilt = [answered().pk for _ in range(3)]
    Attempt.objects.update(ballot="[]")
    answered(visitor=2)
    assert sum(ballots.count() for _ in range(4)) == 1
    assert Vote.objects.count() == 2
    left = Attempt.objects.exclude(ballot=None).order_by("pk")
    assert list(left.values_list("pk", flat=True)) == spoilt, "nothing is lost"


@pytest.mark.django_db(transaction=True)
def test_nor_does_one_after_another(answered: Callable[..., Attempt], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ballots, "_aside", set())
    for spoilt in range(2):
        Attempt.objects.filter(pk=answered(visitor=1).pk).update(ballot="[]")
        answered(visitor=2)
        assert ballots.count() == 1, spoilt


@pytest.mark.django_db
@pytest.mark.parametrize("fault", [OperationalError, InternalError, InterfaceError])
def test_a_database_that_fails_is_no_reason_to_put_ballots_aside(
    answered: Callable[..., Attempt], monkeypatch: pytest.MonkeyPatch, fault: type[Exception]
) -> None:
    answered()

    def fail(*_: object, **__: object) -> None:
        raise fault

    with monkeypatch.context() as patch:
        patch.setattr(voting, "record", fail)
        with pytest.raises(fault):
            ballots.count()
    assert ballots.count() == 1


@pytest.mark.django_db
def test_where_the_worker_cannot_be_asked_for_an_estimate_ballots_are_counted(
    answered: Callable[..., Attempt], monkeypatch: pytest.MonkeyPatch
) -> None:
    answered()

    def fail() -> None:
        raise ConnectionError("Redis does not answer")

    monkeypatch.setattr(tasks, "ask_for_estimate", fail)
    ballots.Soon()()
    assert Vote.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_glyphs_that_were_deleted_are_passed_over(answered: Callable[..., Attempt]) -> None:
    passed, failed = answered(), answered("eaAxOM", visitor=2)
    probe = next(glyph for glyph, role, _ in passed.captcha.content if role == "probe")
    Glyph.objects.filter(pk__in=[probe, failed.captcha.content[3][0]]).delete()
    assert ballots.count() == 2
    assert Vote.objects.count() == 1
    assert not Miss.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("odd", ["\0", "\ud800", "\x1b", "💥"])
def test_any_character_can_be_told(answered: Callable[..., Attempt], odd: str) -> None:
    answered(f"eaAT{odd}M")
    assert ballots.count() == 1
    assert set(Vote.objects.values_list("typed", flat=True)) == ({"M", odd} if odd == "💥" else {"M"})


@pytest.mark.django_db
def test_a_label_is_earned_by_one_site_once(
    answered: Callable[..., Attempt], make_captcha: Callable[..., Captcha]
) -> None:
    first = answered(visitor=1)
    content = first.captcha.content
    for visitor in range(2, 5):
        attempt = answered("eaATOM", visitor=visitor)
        same = [json.loads(attempt.ballot or "")[0], *json.loads(first.ballot or "")[1:]]
        Attempt.objects.filter(pk=attempt.pk).update(ballot=json.dumps(same))
    ballots.count()
    probes = [glyph for glyph, role, _ in content if role == "probe"]
    assert Traffic.objects.get().labels == len(probes) == 2
    assert Decision.objects.filter(glyph__in=probes).count() == 2


@pytest.mark.django_db(transaction=True)
def test_of_many_who_count_at_once_each_ballot_is_counted_by_one(answered: Callable[..., Attempt]) -> None:
    for visitor in range(20):
        answered(visitor=visitor)

    def count(_: int) -> int:
        try:
            return ballots.count()
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(count, range(4))) == 20
    assert (Vote.objects.count(), Source.objects.filter(honesty__gt=0).count()) == (40, 20)


@pytest.mark.django_db
def test_where_counting_fails_the_ballots_wait_on(
    answered: Callable[..., Attempt], monkeypatch: pytest.MonkeyPatch
) -> None:
    answered()

    def fail(*_: object, **__: object) -> None:
        raise OperationalError

    with monkeypatch.context() as patch:
        patch.setattr(voting, "record", fail)
        ballots.Soon()()
    assert not Vote.objects.exists()
    ballots.Soon()()
    assert Vote.objects.count() == 2


@pytest.mark.django_db(transaction=True)
def test_a_process_counts_after_the_pause(answered: Callable[..., Attempt], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ballots, "PAUSE", 0.2)
    soon = ballots.Soon()
    for visitor in range(3):
        answered(visitor=visitor)
        soon()
    assert not Vote.objects.exists()
    until = time.monotonic() + 10
    while Vote.objects.count() < 6 and time.monotonic() < until:
        time.sleep(0.02)
    assert Vote.objects.count() == 6


@pytest.mark.django_db(transaction=True)
def test_where_no_thread_can_be_had_the_next_visitor_has_them_counted(
    answered: Callable[..., Attempt], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ballots, "PAUSE", 0.01)
    soon = ballots.Soon()
    answered()

    def fail(_: Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(Thread, "start", fail)
        soon()
    soon()
    assert _counted(2, lambda: None)


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no connections that break")
@pytest.mark.django_db(transaction=True)
def test_a_lost_connection_is_made_anew_while_visitors_keep_coming(
    answered: Callable[..., Attempt], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ballots, "PAUSE", 0.1)
    soon = ballots.Soon()
    answered()
    assert _counted(2, soon)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    answered(visitor=2)
    assert _counted(4, soon)


def _counted(votes: int, meanwhile: Callable[[], None]) -> bool:
    """Return whether there are so many votes within some seconds."""
    until = time.monotonic() + 5
    while Vote.objects.count() < votes and time.monotonic() < until:
        meanwhile()
        time.sleep(0.02)
    return Vote.objects.count() == votes
