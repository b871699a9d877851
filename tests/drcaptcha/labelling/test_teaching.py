"""What networks learn of labels that votes gave."""

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from pytest_django import Settings

from drcaptcha.glyphs.models import Glyph, State
from drcaptcha.labelling.weighing import soft_labels, weigh
from drcaptcha.learning import experiments
from handwriting.alphabet import BALANCED


def test_a_label_from_votes_is_as_soft_as_its_votes_leave_it(
    vote: Callable[..., Glyph], make_glyph: Callable[..., Glyph]
) -> None:
    sure, torn, gone = (make_glyph(truth="A") for _ in range(3))
    for visitor in range(4):
        vote(sure, "A", visitor)
        vote(torn, "AH"[visitor % 2], visitor)
    keys = np.array([sure.pk, torn.pk, gone.pk])
    gone.delete()
    shares, counts = soft_labels(None, keys=keys)
    np.testing.assert_allclose(shares.sum(1), 1, atol=1e-6)
    a, h = BALANCED.index("A"), BALANCED.index("H")
    assert shares[0, a] > 0.995
    assert 0.3 < shares[1, a] < 0.7
    assert 0.3 < shares[1, h] < 0.7
    np.testing.assert_allclose(shares[1], weigh([torn.pk]).beliefs.distribution[0], atol=1e-6)
    assert counts[0] > 0.99
    assert counts[2] == 0


@pytest.fixture
def _a_folder(settings: Settings, tmp_path: Path) -> None:
    settings.MEDIA_ROOT, settings.DRCAPTCHA_CHECKPOINTS = tmp_path, tmp_path


@pytest.mark.training
@pytest.mark.usefixtures("_a_folder")
def test_training_takes_labels_from_votes_as_soft_ones(
    vote: Callable[..., Glyph], make_glyph: Callable[..., Glyph], monkeypatch: pytest.MonkeyPatch, now: datetime
) -> None:
    given = [make_glyph(label) for label in "ABCDEFGHIJ" * 3]
    make_glyph("A", split="test")
    voted = make_glyph(truth="A")
    for visitor in range(4):
        voted = vote(voted, "A", visitor)
    assert voted.state in {State.ACCEPTED, State.CONTROL}
    seen = {}
    train = experiments.training.train

    def watched(*arguments: object, **options: object) -> object:
        seen.update(options)
        return train(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(experiments.training, "train", watched)
    experiments.train(experiments.Plan(("slim",), epochs=1, batch_size=8), now=now)
    targets, weights = seen["targets"], seen["weights"]
    assert targets.shape == (31, len(BALANCED))
    np.testing.assert_array_equal(targets[:30], np.eye(len(BALANCED))[[BALANCED.index(g.label) for g in given]])
    assert 0.99 < targets[30, BALANCED.index("A")] < 1
    shares, counts = soft_labels(None, keys=np.array([voted.pk]))
    np.testing.assert_array_equal(targets[30:], shares)
    np.testing.assert_array_equal(weights, [1] * 30 + counts.tolist())
