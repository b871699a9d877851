import json
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from django.core.files.base import ContentFile
from pytest_django import Settings

from drcaptcha.errors import NotPossible
from drcaptcha.glyphs.models import Glyph, Split, State
from drcaptcha.learning import experiments, opinions, scoring, snapshots
from drcaptcha.learning.models import Ensemble, Evaluation, Network, Prior
from drcaptcha.learning.snapshots import Snapshot

pytestmark = [pytest.mark.django_db, pytest.mark.training]


@pytest.fixture
def trained(material: None, now: datetime, settings: Settings, tmp_path: Path) -> Ensemble:
    """An ensemble that has learned from 140 glyphs; of the 40 others the labels were taken before."""
    settings.MEDIA_ROOT = tmp_path
    unknown = list(Glyph.objects.filter(split=Split.TRAIN).order_by("pk").values_list("pk", flat=True)[:40])
    Glyph.objects.filter(pk__in=unknown).update(label="", given="", state=State.UNKNOWN)
    return experiments.train(experiments.Plan(("slim",), epochs=2), now=now)


def test_the_best_ensemble_gives_its_opinion_of_what_is_wanted(trained: Ensemble) -> None:
    unknown = set(Glyph.objects.unknown().values_list("pk", flat=True))
    assert set(Prior.objects.values_list("glyph", flat=True)) == unknown
    said = np.frombuffer(bytes(Prior.objects.first().probabilities), np.float16)
    assert said.shape == (47,)
    assert said.sum() == pytest.approx(1, abs=0.02)


def test_a_snapshot_tells_what_was_learned(trained: Ensemble) -> None:
    snapshot = snapshots.of(trained.networks.get())
    labelled = Glyph.objects.filter(split=Split.TRAIN).exclude(label="").order_by("pk")
    assert snapshot.keys.tolist() == list(labelled.values_list("pk", flat=True))
    assert 0 < snapshot.held.sum() < 20


def test_a_network_has_no_say_in_what_it_has_learned(trained: Ensemble, now: datetime) -> None:
    """A label that a network learned from votes can't be confirmed by that network: its older prior stays."""
    glyph = Glyph.objects.unknown().first()
    Glyph.objects.filter(pk=glyph.pk).update(label="K", state=State.ACCEPTED)
    later = experiments.train(experiments.Plan(("slim",), epochs=1, seed=9), now=now)
    assert glyph.pk in snapshots.of(later.networks.get()).keys
    Prior.objects.all().delete()
    opinions.score(later, now=now)
    assert not Prior.objects.filter(glyph=glyph).exists()
    assert Prior.objects.count() == 39


def test_of_a_network_without_a_snapshot_the_worst_is_thought(trained: Ensemble, now: datetime) -> None:
    Network.objects.update(snapshot="")
    accepted = Glyph.objects.unknown().first()
    Glyph.objects.filter(pk=accepted.pk).update(label="K", state=State.ACCEPTED)
    Prior.objects.all().delete()
    assert opinions.score(trained, now=now) == 39
    assert opinions.temperature(trained, opinions.registry.committee(trained)) == 1.0


def test_only_what_is_new_is_scored_again(trained: Ensemble, now: datetime) -> None:
    Prior.objects.filter(glyph__in=Prior.objects.order_by("pk").values("pk")[:5]).delete()
    assert opinions.score(trained, now=now, missing=True) == 5
    assert opinions.score(trained, now=now, missing=True) == 0


def test_an_evaluation_without_a_change_scores_nothing_again(trained: Ensemble, now: datetime) -> None:
    Prior.objects.update(probabilities=b"untouched")
    scoring.evaluate(trained, now=now)
    assert set(map(bytes, Prior.objects.values_list("probabilities", flat=True))) == {b"untouched"}


def test_labels_follow_new_priors(trained: Ensemble, now: datetime) -> None:
    assert Glyph.objects.unknown().exclude(posterior=None).count() == 40
    assert Glyph.objects.unknown().exclude(worth=1).count() == 40


def test_a_temperature_is_kept_with_the_evaluation(trained: Ensemble) -> None:
    assert Evaluation.objects.get().temperature > 0


def test_it_is_found_on_glyphs_that_were_held_out(trained: Ensemble, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opinions, "FEWEST_HELD", 3)
    committee = opinions.registry.committee(trained)
    assert opinions.temperature(trained, committee) != 1.0


def test_an_ensemble_that_was_never_evaluated_has_no_say(db: None, now: datetime) -> None:
    with pytest.raises(NotPossible, match="Evaluate it first"):
        opinions.score(Ensemble.objects.create(name="new"), now=now)


def test_a_damaged_snapshot_is_named(trained: Ensemble) -> None:
    network = trained.networks.get()
    network.snapshot.save("snapshot.npz", ContentFile(b"nonsense"))
    with pytest.raises(NotPossible, match="can't be read"):
        snapshots.of(network)


def test_a_snapshot_survives_storing(trained: Ensemble) -> None:
    network = trained.networks.get()
    before = Snapshot(np.array([3, 5]), np.array([1, 46], np.int16), np.array([True, False]))
    network.snapshot.save("snapshot.npz", ContentFile(before.to_bytes()))
    after = snapshots.of(network)
    assert json.dumps([after.keys.tolist(), after.labels.tolist(), after.held.tolist()]) == json.dumps(
        [[3, 5], [1, 46], [True, False]]
    )
