from datetime import datetime, timedelta
from pathlib import Path

import pytest
from pytest_django import Settings

from drcaptcha.learning import registry
from drcaptcha.learning.models import Ensemble, Evaluation, Membership
from handwriting.inference import Classifier

pytestmark = pytest.mark.training


def judge(ensemble: Ensemble, accuracy: float, when: datetime) -> None:
    Evaluation.objects.create(ensemble=ensemble, accuracy=accuracy, created=when, test_size=10, weights={}, seconds=1)


def copy(ensemble: Ensemble, name: str) -> Ensemble:
    other = Ensemble.objects.create(name=name)
    network = ensemble.networks.first()
    assert network is not None
    Membership.objects.create(ensemble=other, network=network)
    return other


def test_the_latest_evaluation_of_each_counts(ensemble: Ensemble, now: datetime) -> None:
    rival, unjudged = copy(ensemble, "rival"), copy(ensemble, "unjudged")
    judge(ensemble, 0.8, now + timedelta(hours=1))
    judge(rival, 0.99, now)
    assert registry.best() == rival
    judge(rival, 0.5, now + timedelta(hours=2))
    assert registry.best() == ensemble
    assert unjudged != registry.best()


def test_an_ensemble_that_lost_its_members_does_not_serve(ensemble: Ensemble) -> None:
    ensemble.memberships.all().delete()
    assert registry.best() is None


def test_a_network_is_loaded_once(ensemble: Ensemble) -> None:
    network = ensemble.networks.first()
    assert network is not None
    assert registry.classifier(network) is registry.classifier(network)


def test_memory_holds_so_many_networks_and_no_more() -> None:
    for number in range(2 * registry.MOST_LOADED):
        registry._load(f"/nowhere/{number}.onnx", "AB", 1)
    assert registry._load.cache_info().currsize == registry.MOST_LOADED


def test_members_of_different_classes_can_not_decide_together(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="same classes"):
        registry.Committee([Classifier(tmp_path, "AB"), Classifier(tmp_path, "BA")], [1, 1])


def test_what_was_judged_by_other_glyphs_is_not_compared(ensemble: Ensemble, now: datetime) -> None:
    judge(ensemble, 0.99, now + timedelta(hours=1))
    later = copy(ensemble, "after an import")
    day = now + timedelta(days=1)
    Evaluation.objects.create(ensemble=later, accuracy=0.7, created=day, test_size=9000, weights={}, seconds=1)
    assert registry.best() == later


def test_an_ensemble_of_another_alphabet_does_not_serve(ensemble: Ensemble, settings: Settings) -> None:
    assert registry.best() == ensemble
    settings.DRCAPTCHA_ALPHABET = "byclass"
    assert registry.best() is None
