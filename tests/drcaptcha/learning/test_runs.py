from collections.abc import Callable
from datetime import timedelta

import pytest
from django.core.management import call_command
from django.utils import timezone

from drcaptcha.learning import tasks
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
