import hashlib
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from django.conf import settings
from PIL import Image

from drcaptcha.errors import NotPossible
from drcaptcha.glyphs.models import Glyph, Split
from drcaptcha.learning import promoting, registry, scoring, validation
from drcaptcha.learning.models import Ensemble, Evaluation
from handwriting import ensembles, metrics
from handwriting.alphabet import BALANCED

pytestmark = pytest.mark.training


def test_it_measures_the_weights_as_they_are(ensemble: Ensemble, now: datetime) -> None:
    first, second = ensemble.memberships.order_by("pk")
    first.weight, second.weight = 3, 0
    first.save()
    second.save()
    evaluation = scoring.evaluate(ensemble, now=now + timedelta(hours=1))
    glyphs = list(Glyph.objects.filter(split=Split.TEST))
    said = registry.classifier(first.network).probabilities(np.array([glyph.array for glyph in glyphs])).argmax(axis=1)
    right = [BALANCED.classes[s] == glyph.label for s, glyph in zip(said, glyphs, strict=True)]
    assert evaluation.accuracy == np.mean(right)
    assert evaluation.weights == {str(first.network.pk): 3, str(second.network.pk): 0}
    assert ensemble.evaluation == evaluation


def test_normalising_keeps_proportions_and_judges_again(ensemble: Ensemble, now: datetime) -> None:
    first, second = ensemble.memberships.order_by("pk")
    first.weight, second.weight = 3, 1
    first.save()
    second.save()
    evaluation = scoring.normalise(ensemble, now=now)
    assert sorted(evaluation.weights.values()) == [0.25, 0.75]


def test_it_needs_a_weight_above_nothing(ensemble: Ensemble, now: datetime) -> None:
    ensemble.memberships.update(weight=0)
    with pytest.raises(NotPossible, match="no network with a weight"):
        scoring.evaluate(ensemble, now=now)


@pytest.mark.usefixtures("db")
def test_an_ensemble_of_nobody_can_not_be_judged(now: datetime) -> None:
    empty = Ensemble.objects.create(name="empty")
    with pytest.raises(NotPossible, match="no network"):
        scoring.evaluate(empty, now=now)
    with pytest.raises(NotPossible, match="no networks"):
        scoring.normalise(empty, now=now)


def test_a_lost_file_is_named(ensemble: Ensemble, now: datetime) -> None:
    network = ensemble.networks.first()
    assert network is not None
    network.onnx.storage.delete(network.onnx.name)
    registry._load.cache_clear()
    with pytest.raises(NotPossible, match=r"network\.onnx"):
        scoring.evaluate(ensemble, now=now)


def test_the_ensemble_is_the_mean_of_its_members(ensemble: Ensemble) -> None:
    glyphs = np.array([glyph.array for glyph in Glyph.objects.filter(split=Split.TEST)])
    members = [registry.classifier(network).probabilities(glyphs) for network in ensemble.networks.all()]
    said = registry.committee(ensemble.evaluation).probabilities(glyphs)
    np.testing.assert_allclose(said, np.mean(members, axis=0), rtol=1e-5)


def test_figures_are_kept_of_the_ensemble_and_of_each_member(ensemble: Ensemble) -> None:
    glyphs = sorted(Glyph.objects.filter(split=Split.TEST), key=lambda glyph: bytes(glyph.digest))
    labels = np.array([BALANCED.index(glyph.label) for glyph in glyphs])
    judged = ensemble.evaluation
    said = registry.committee(judged).probabilities(np.array([glyph.array for glyph in glyphs]))
    guessed = np.frombuffer(bytes(judged.said), np.uint8)
    assert guessed.tolist() == said.argmax(axis=1).tolist()
    assert promoting.right(judged).tolist() == (guessed == labels).tolist()
    assert np.array(judged.confusion).trace() == (guessed == labels).sum()
    assert (judged.log_loss, judged.brier) == (metrics.log_loss(said, labels), metrics.brier(said, labels))
    assert judged.ece == metrics.reliability(said, labels).error
    assert 0 < judged.macro_f1 <= 1
    assert judged.accuracy <= judged.top3 <= 1
    assert judged.accuracy <= judged.folded <= 1
    assert judged.share.low < judged.accuracy <= judged.share.high + 1e-9
    sha = hashlib.sha256(b"".join(bytes(glyph.digest) + glyph.label.encode() for glyph in glyphs))
    assert judged.test_hash == sha.hexdigest()
    for network in ensemble.networks.all():
        alone = network.evaluations.get()
        assert (alone.test_hash, alone.ensemble) == (judged.test_hash, None)
        assert judged.snapshots[str(network.pk)] == alone.snapshots[str(network.pk)] == network.snapshot_hash != ""


def test_a_member_without_a_weight_is_judged_alone_too(unjudged: Ensemble, now: datetime) -> None:
    first, second = unjudged.memberships.order_by("pk")
    second.weight = 0
    second.save()
    judged = scoring.evaluate(unjudged, now=now)
    scoring.evaluate(unjudged, now=now)
    for member in (first, second):
        assert member.network.evaluations.get().test_hash == judged.test_hash
    second.network.onnx.storage.delete(second.network.onnx.name)
    registry._load.cache_clear()
    second.network.evaluations.all().delete()
    assert scoring.evaluate(unjudged, now=now).accuracy == judged.accuracy, "it has no say, so its file is not needed"


def test_a_temperature_is_found_with_every_class_counting_alike(
    unjudged: Ensemble, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(validation, "FEWEST", 3)
    judged = scoring.evaluate(unjudged, now=now)
    common = validation.of(list(unjudged.networks.order_by("pk")))
    shares = ensembles.even(common.labels, 47)
    said = ensembles.combine(common.probabilities, np.array([0.5, 0.5]))
    assert shares.min() < shares.max()
    assert judged.temperature == ensembles.calibrate(said, common.labels, shares)


@pytest.mark.usefixtures("drawn")
def test_pictures_of_what_is_superseded_go_and_its_figures_stay(unjudged: Ensemble, now: datetime) -> None:
    champion = scoring.evaluate(unjudged, now=now)
    first = unjudged.memberships.first()
    judged = []
    for weight in (0.0, 0.1, 0.2):
        first.weight = weight
        first.save()
        judged.append(scoring.evaluate(unjudged, now=now))
    folder = Path(settings.MEDIA_ROOT) / "evaluations"
    assert len(list(folder.iterdir())) == 2 * len(Evaluation.PICTURES)
    for row, there in ((champion, True), (judged[0], False), (judged[1], False), (judged[2], True)):
        row.refresh_from_db()
        assert all(bool(getattr(row, name)) is there for name in Evaluation.PICTURES)
        assert row.confusion


@pytest.mark.usefixtures("drawn")
def test_an_evaluation_has_its_pictures(unjudged: Ensemble, now: datetime) -> None:
    judged = scoring.evaluate(unjudged, now=now)
    for name in ("confusion", "reliability", "errors", "growth"):
        assert Image.open(getattr(judged, f"{name}_picture").path).format == "PNG"
