import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from pathlib import Path
from threading import Thread, Timer
from typing import Any

import pytest
from django.conf import settings
from django.core.management import call_command
from django.db import OperationalError, connection
from django.utils import timezone

from drcaptcha.learning import tasks
from drcaptcha.learning.experiments import Plan, Step, train
from drcaptcha.learning.management.commands import db_worker
from drcaptcha.learning.models import Ensemble, Network, Run

pytestmark = [pytest.mark.training, pytest.mark.django_db(transaction=True)]


def work() -> None:
    """Let the worker do all that is queued."""
    call_command("db_worker", batch=True, interval=0, startup_delay=False, verbosity=0)


def test_a_training_ends_with_an_ensemble(material: None) -> None:
    run = tasks.queue_training({"networks": ["slim"], "epochs": 3, "batch_size": 16, "name": "queued"})
    assert run.state == Run.State.QUEUED
    work()
    run.refresh_from_db()
    assert (run.state, run.done) == (Run.State.FINISHED, 1)
    assert run.ensemble == Ensemble.objects.get(name="queued")
    assert "of 60" in run.line
    assert Network.objects.get().epochs == 3


def test_one_that_was_broken_off_goes_on_with_its_labels_unless_it_is_to_begin_anew(
    material: None, add_glyphs: Callable[..., None]
) -> None:
    plan = Plan(("slim",), epochs=2, batch_size=16)
    options = {"networks": ["slim"], "epochs": 2, "batch_size": 16, "anew": True}

    def stop(step: Step) -> None:
        if step.batch and step.share > 0.6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(plan, now=timezone.now(), progress=stop)
    failed = Run.objects.create(kind="training", state=Run.State.FAILED, options=options)
    add_glyphs(20, seed=8)
    tasks.queue_again(failed)
    work()
    assert Network.objects.get().known_labels == 180
    with pytest.raises(KeyboardInterrupt):
        train(plan, now=timezone.now(), progress=stop)
    add_glyphs(20, seed=9)
    tasks.queue_training(options)
    work()
    assert Network.objects.latest("pk").known_labels == 220


def test_one_that_was_stopped_after_its_first_network_says_so_keeps_that_and_goes_on_with_the_others(
    material: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tasks.queue_training({"networks": ["slim", "slim"], "epochs": 1, "batch_size": 16})
    note = tasks.note

    def stop(row: Run, **fields: Any) -> None:
        note(row, **fields)
        if 0.5 < fields.get("done", 0) < 1:
            raise SystemExit(1)  # As the worker does, told a second time.

    with monkeypatch.context() as patch:
        patch.setattr(tasks, "PACE", 0)
        patch.setattr(tasks, "note", stop)
        work()
    run.refresh_from_db()
    assert run.state == Run.State.FAILED
    assert "stopped when 1 of 2 networks were trained, which are kept" in run.line
    assert run.done == 0.5
    assert [member.weight for member in run.ensemble.memberships.all()] == [1]
    again = tasks.queue_again(run)
    work()
    again.refresh_from_db()
    assert again.state == Run.State.FINISHED
    assert run.ensemble.networks.get() in again.ensemble.networks.all()
    assert again.ensemble.networks.count() == Network.objects.count() == 2


def test_an_evaluation_adds_to_its_ensemble(ensemble: Ensemble) -> None:
    run = tasks.queue_evaluation(ensemble)
    work()
    run.refresh_from_db()
    assert run.state == Run.State.FINISHED
    assert ensemble.evaluations.count() == 2
    assert str(ensemble.evaluation) in run.line


def test_what_is_not_possible_is_told(add_glyphs: Callable[..., None]) -> None:
    nothing = tasks.queue_training({})
    add_glyphs(3, split="test")
    unknown = tasks.queue_training({"networks": ["resnet"]})
    work()
    for run, why in ((nothing, "0 labelled training glyphs"), (unknown, "no network resnet")):
        run.refresh_from_db()
        assert run.state == Run.State.FAILED
        assert why in run.line


def test_a_fault_is_told_and_goes_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    run = tasks.queue_training({"colour": "red"})
    work()
    run.refresh_from_db()
    assert run.state == Run.State.FAILED
    assert "colour" in run.line


def test_a_run_whose_worker_is_gone_is_given_up(db: None) -> None:
    now = timezone.now()
    gone, alive = (Run.objects.create(kind="training", state=Run.State.RUNNING) for _ in range(2))
    Run.objects.filter(pk=gone.pk).update(updated=now - tasks.SILENCE - timedelta(seconds=1))
    assert tasks.give_up_orphans(now) == 1
    gone.refresh_from_db()
    alive.refresh_from_db()
    assert (gone.state, alive.state) == (Run.State.FAILED, Run.State.RUNNING)


@contextmanager
def another_process(run: Run) -> Iterator[subprocess.Popen[bytes]]:
    """Work on ``run`` in a process of its own, as far as others can tell: it holds the file of the run."""
    path = Path(settings.DRCAPTCHA_RUNS) / f"learning.run-{run.pk}.lock"
    program = (
        "import sys, time, pathlib; from drcaptcha.learning import locks\n"
        "with locks.hold(pathlib.Path(sys.argv[1])): print(flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield process
        finally:
            process.kill()


def test_a_run_that_is_alive_is_never_given_up_and_one_that_died_at_once(db: None) -> None:
    run = Run.objects.create(kind="training", state=Run.State.RUNNING)
    Run.objects.update(updated=timezone.now() - timedelta(days=1))
    with another_process(run) as process:
        assert tasks.give_up_orphans(timezone.now()) == 0
        process.kill()
        process.wait()
        Run.objects.update(updated=timezone.now())
        work()
    run.refresh_from_db()
    assert run.state == Run.State.FAILED
    assert "worker ended" in run.line


def test_work_that_has_nothing_to_tell_gives_signs_of_life(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tasks, "BEAT", 0.05)
    run = Run.objects.create(kind="training")
    seen = []

    def quiet(run: Run) -> str:
        Run.objects.filter(pk=run.pk).update(updated=timezone.now() - timedelta(days=1), state=Run.State.FAILED)
        until = time.monotonic() + 10
        while time.monotonic() < until and not seen:
            time.sleep(0.05)
            seen.extend(Run.objects.filter(pk=run.pk, updated__gte=timezone.now() - timedelta(hours=1)))
        assert tasks.give_up_orphans(timezone.now()) == 0
        return "done"

    tasks.follow(run, quiet)
    assert [row.state for row in seen] == [Run.State.RUNNING]
    run.refresh_from_db()
    assert (run.state, run.line) == (Run.State.FINISHED, "done")
    assert not list(Path(settings.DRCAPTCHA_RUNS).iterdir())


@pytest.mark.skipif(connection.vendor != "sqlite", reason="a server locks rows, not the database")
def test_the_worker_waits_for_a_database_that_others_lock_for_long(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run = Run.objects.create(kind="evaluation")
    tasks.evaluate.enqueue(run.pk)
    monkeypatch.setitem(connection.settings_dict["OPTIONS"], "timeout", 0.1)
    monkeypatch.setattr(db_worker, "BREATH", 0.1)
    connection.close()
    with closing(
        sqlite3.connect(connection.settings_dict["NAME"], isolation_level=None, check_same_thread=False)
    ) as other:
        other.execute("BEGIN EXCLUSIVE")
        unlocking = Timer(1, other.execute, ["COMMIT"])
        unlocking.start()
        work()
        unlocking.join()
    connection.close()
    run.refresh_from_db()
    assert run.state == Run.State.FINISHED
    assert "database is locked" in caplog.text


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite is in this process")
def test_the_worker_waits_for_a_database_that_went_away(caplog: pytest.LogCaptureFixture) -> None:
    run = Run.objects.create(kind="evaluation")
    tasks.evaluate.enqueue(run.pk)
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (mine,) = cursor.fetchone()

    def go_away() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [mine])
        connection.close()

    going = Thread(target=go_away)
    going.start()
    going.join()
    work()
    run.refresh_from_db()
    assert run.state == Run.State.FINISHED
    assert "It waits and goes on" in caplog.text


def test_a_training_goes_on_where_it_can_not_tell_how_far_it_is(
    material: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run = tasks.queue_training({"networks": ["slim"], "epochs": 2, "batch_size": 16})
    real = tasks.note

    def note(run: Run, **fields: object) -> None:
        if fields.keys() == {"done", "line"}:
            raise OperationalError("database is locked")
        real(run, **fields)

    monkeypatch.setattr(tasks, "note", note)
    work()
    run.refresh_from_db()
    assert run.state == Run.State.FINISHED
    assert "database is locked" in caplog.text
