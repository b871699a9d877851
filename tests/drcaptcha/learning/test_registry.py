from base64 import b64encode
from datetime import datetime
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from django.test import Client
from PIL import Image
from pytest_django import Settings

from drcaptcha.errors import NotPossible, NotReady
from drcaptcha.glyphs.models import Glyph, Split
from drcaptcha.learning import predicting, registry, scoring
from drcaptcha.learning.models import Ensemble, Evaluation
from handwriting.inference import Classifier

pytestmark = pytest.mark.training


def test_what_serves_is_what_was_judged(ensemble: Ensemble) -> None:
    """To change an ensemble, even to take a member out, changes no prediction before it is judged."""
    glyph = Glyph.objects.filter(split=Split.TEST)[0].array[np.newaxis]
    before = predicting.serving().guess(glyph)
    ensemble.memberships.filter(pk=ensemble.memberships.first().pk).update(weight=9)
    ensemble.memberships.last().delete()
    assert predicting.serving().guess(glyph) == before


def test_with_a_network_gone_it_is_not_ready(ensemble: Ensemble) -> None:
    Evaluation.objects.filter(ensemble=ensemble).update(weights={"999": 1})
    with pytest.raises(NotReady, match="can't be read"):
        predicting.serving()


def test_the_api_names_who_says_so(ensemble: Ensemble, client: Client) -> None:
    file = BytesIO()
    Image.fromarray(255 - Glyph.objects.filter(split=Split.TEST)[0].array).save(file, "PNG")
    image = f"data:image/png;base64,{b64encode(file.getvalue()).decode()}"
    answer = client.post("/api/v1/predictions", {"image": image}, content_type="application/json").json()
    assert answer["ensemble"] == {"id": ensemble.pk, "name": "bars", "evaluation": ensemble.evaluation.pk}
    assert len(answer["guesses"]) >= 3


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


def test_an_ensemble_of_another_alphabet_does_not_serve(ensemble: Ensemble, settings: Settings, now: datetime) -> None:
    assert registry.champion().ensemble == ensemble
    settings.DRCAPTCHA_ALPHABET = "byclass"
    assert registry.champion() is None
    scoring.evaluate(ensemble, now=now)
    assert registry.champion() is None


def test_pooling_correction_and_temperature_take_part(ensemble: Ensemble) -> None:
    glyphs = np.array([glyph.array for glyph in Glyph.objects.filter(split=Split.TEST)])
    judged = ensemble.evaluation
    plain = registry.committee(judged).probabilities(glyphs)
    judged.temperature = 3
    cooler = registry.committee(judged).probabilities(glyphs)
    assert cooler.max(axis=1).mean() < plain.max(axis=1).mean()
    judged.pooling = "logarithm"
    assert not np.allclose(registry.committee(judged).probabilities(glyphs), cooler)
    judged.correction, judged.counts = 1.0, [10_000] * 46 + [0]
    corrected = registry.committee(judged)
    assert (corrected.probabilities(glyphs)[:, 46] > cooler[:, 46]).all()


def test_an_evaluation_without_networks_says_so(ensemble: Ensemble) -> None:
    with pytest.raises(NotPossible, match="is gone"):
        registry.members_of(Evaluation(ensemble=ensemble, weights={}))
