"""Trainings that nobody has to ask for."""

from collections.abc import Callable
from datetime import datetime, timedelta
from importlib import import_module

import pytest
from django.apps import apps
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.utils import timezone
from django_tasks_db.models import DBTaskResult
from pytest_django import Settings

from drcaptcha.glyphs.models import DataSet, Glyph, Split
from drcaptcha.learning import examples, retraining
from drcaptcha.learning.models import Ensemble, Network, Run
from drcaptcha.learning.retraining import Policy, is_due, retrain_if_due
from handwriting.alphabet import BALANCED

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.training]


def work() -> None:
    call_command("db_worker", batch=True, interval=0, startup_delay=False, verbosity=0)


@pytest.mark.parametrize(
    "text", ["labels", "labels:", "labels:0", "labels:-3", "days:x", "weekly", "off:1", "days:1.5"]
)
def test_a_policy_that_makes_no_sense_is_found_before_anything_runs(settings: Settings, text: str) -> None:
    settings.DRCAPTCHA_RETRAIN = text
    with pytest.raises(SystemCheckError, match="DRCAPTCHA_RETRAIN must be off, labels:NUMBER or days:NUMBER"):
        call_command("check")


def test_so_is_a_network_that_is_none(settings: Settings) -> None:
    settings.DRCAPTCHA_RETRAIN_NETWORKS = ["compact", "gpt"]
    with pytest.raises(SystemCheckError, match=r"DRCAPTCHA_RETRAIN_NETWORKS must name .* not gpt"):
        call_command("check")


def test_it_is_off_unless_asked_for(material: None, now: datetime) -> None:
    assert not Policy.current().on
    assert str(Policy.current()) == "only when asked for"
    assert retrain_if_due(now=now) is None
    retraining.keep_watch()
    assert not DBTaskResult.objects.exists()


def test_enough_new_labels_start_a_training(
    ensemble: Ensemble, add_glyphs: Callable[..., None], settings: Settings, now: datetime
) -> None:
    settings.DRCAPTCHA_RETRAIN = "labels:20"
    settings.DRCAPTCHA_RETRAIN_NETWORKS = ["slim"]
    settings.DRCAPTCHA_RETRAIN_MINUTES = 5
    assert retraining.new_labels() == 0
    add_glyphs(19, seed=8)
    assert retrain_if_due(now=now) is None
    add_glyphs(1, seed=9)
    run = retrain_if_due(now=now)
    plan = {"networks": ["slim"], "minutes": 5}
    assert (run.kind, run.options) == ("training", plan | {"anew": True}), "it is the new labels that it is for"
    assert retrain_if_due(now=now) is None, "one is under way"
    Run.objects.update(state=Run.State.FAILED, updated=now)
    assert retrain_if_due(now=now + timedelta(hours=2)).options == plan, "it goes on with what was broken off"
    assert str(Policy.current()) == "after 20 new labels: slim for 5 minutes"


def test_a_training_that_fails_is_tried_again_after_twice_as_long_each_time(
    ensemble: Ensemble, add_glyphs: Callable[..., None], settings: Settings
) -> None:
    policy = Policy(labels=20, networks=("slim",))
    add_glyphs(20, seed=8)
    now = timezone.now()
    for hours in (2, 4, 8):
        Run.objects.create(kind="training", state=Run.State.FAILED)
        Run.objects.update(updated=now)
        assert not is_due(policy, now=now + timedelta(hours=hours, minutes=-1))
        assert is_due(policy, now=now + timedelta(hours=hours))
    for _ in range(20):
        Run.objects.create(kind="training", state=Run.State.FAILED)
    Run.objects.update(updated=now)
    assert is_due(policy, now=now + retraining.LONGEST)
    Network.objects.update(created=now + timedelta(minutes=1))  # One has succeeded since.
    assert is_due(policy, now=now + timedelta(minutes=1))


@pytest.mark.parametrize("when", ["labels:20", "days:30"])
def test_a_training_that_was_stopped_half_way_goes_on_without_new_labels(
    ensemble: Ensemble, settings: Settings, when: str
) -> None:
    settings.DRCAPTCHA_RETRAIN = when
    settings.DRCAPTCHA_RETRAIN_NETWORKS = ["slim", "compact"]
    plan = {"networks": ["slim", "compact"]}
    Network.objects.update(created=timezone.now())
    now = timezone.now()
    assert retrain_if_due(now=now + timedelta(hours=9)) is None
    stopped = Run.objects.create(kind="training", state=Run.State.FAILED, options={"networks": ["slim"]})
    began, ended = now - timedelta(hours=2), now
    Network.objects.update(created=now - timedelta(hours=1))
    Run.objects.update(created=began, updated=ended)
    assert retrain_if_due(now=now + timedelta(hours=9)) is None, "what somebody else began is theirs"
    Run.objects.filter(pk=stopped.pk).update(options=plan | {"anew": True})
    assert retrain_if_due(now=now + timedelta(hours=1)) is None, "that would be too soon"
    again = retrain_if_due(now=now + timedelta(hours=2))
    assert again.options == plan
    Run.objects.filter(pk=again.pk).update(state=Run.State.FAILED, created=ended, updated=ended)
    assert retrain_if_due(now=now + timedelta(hours=4)).options == plan, "also where it was stopped again"
    Run.objects.filter(state=Run.State.QUEUED).update(state=Run.State.FINISHED)
    assert retrain_if_due(now=now + timedelta(hours=9)) is None


def test_labels_that_say_nothing_in_the_alphabet_do_not_count(ensemble: Ensemble, settings: Settings) -> None:
    some = Glyph.objects.filter(label="A")[:30]
    caseless = DataSet.objects.create(name="caseless", caseless=True)
    Glyph.objects.filter(pk__in=some.values("pk")).update(label="?")
    assert retraining.new_labels() == 0
    Network.objects.update(known_labels=0)
    usable = retraining.new_labels()
    assert usable == len(examples.labelled(BALANCED, Split.TRAIN))
    Glyph.objects.filter(split=Split.TRAIN, label="B").update(data_set=caseless)  # It may be a b.
    assert retraining.new_labels() == len(examples.labelled(BALANCED, Split.TRAIN)) < usable


def test_an_upgrade_makes_no_label_new(ensemble: Ensemble) -> None:
    Network.objects.update(known_labels=0)
    import_module("drcaptcha.learning.migrations.0005_priors_by_evaluation").count_labels(apps, None)
    assert retraining.new_labels() == 0
    assert set(Network.objects.values_list("known_labels", flat=True)) == {180}


def test_labels_that_went_are_no_new_ones(ensemble: Ensemble) -> None:
    Network.objects.update(known_labels=Glyph.objects.count())
    assert retraining.new_labels() == 0


def test_days_that_passed_start_a_training(ensemble: Ensemble, now: datetime) -> None:
    policy = Policy(days=7, networks=("slim",))
    assert not is_due(policy, now=now + timedelta(days=6))
    assert is_due(policy, now=now + timedelta(days=7))
    Run.objects.create(kind="training", state=Run.State.FAILED)  # Tried today: the next try is in a week.
    assert not is_due(policy, now=timezone.now() + timedelta(days=6))
    assert is_due(policy, now=timezone.now() + timedelta(days=8))


def test_the_worker_looks_again_and_again(ensemble: Ensemble, settings: Settings) -> None:
    settings.DRCAPTCHA_RETRAIN = "labels:20"
    retraining.keep_watch()
    retraining.keep_watch()
    assert DBTaskResult.objects.count() == 1
    work()
    next_look = DBTaskResult.objects.get(status="READY")
    assert timedelta(minutes=55) < next_look.run_after - timezone.now() <= retraining.PAUSE
    assert not Run.objects.exists()


def test_it_stops_looking_when_the_policy_is_turned_off(ensemble: Ensemble, settings: Settings) -> None:
    settings.DRCAPTCHA_RETRAIN = "days:1"
    retraining.keep_watch()
    settings.DRCAPTCHA_RETRAIN = "off"
    work()
    assert not DBTaskResult.objects.filter(status="READY").exists()
