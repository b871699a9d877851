"""The figures of the first page."""

from collections.abc import Callable
from datetime import datetime

import pytest

from drcaptcha.glyphs.models import Glyph
from drcaptcha.learning.models import Ensemble, Membership, Network, Promotion
from drcaptcha.pages.figures import Figures
from handwriting.alphabet import BALANCED


@pytest.fixture
def ensemble(db: None, now: datetime) -> Ensemble:
    network = Network.objects.create(
        architecture="compact",
        classes="".join(BALANCED.classes),
        folder="one",
        created=now,
        seconds=1,
        epochs=1,
        batch_size=1,
        seed=1,
        parameters=1,
        train_size=1,
        test_size=1,
        accuracy=0.5,
    )
    ensemble = Ensemble.objects.create(name="one")
    Membership.objects.create(ensemble=ensemble, network=network, weight=1)
    return ensemble


def test_it_counts_what_there_is(stock: list[Glyph], make_glyph: Callable[..., Glyph]) -> None:
    Glyph.objects.filter(pk=make_glyph().pk).update(state="accepted", label="K")
    assert Figures.count() == Figures(glyphs=31, labelled=1, votes=0, accuracy=None)


def test_accuracy_is_that_of_what_serves(ensemble: Ensemble, now: datetime) -> None:
    for accuracy in (0.75, 0.9):
        judged = ensemble.evaluations.create(created=now, accuracy=accuracy, test_size=10, weights={}, seconds=1)
        if accuracy == 0.75:
            classes = "".join(BALANCED.classes)
            Promotion.objects.create(evaluation=judged, name="one", classes=classes, reason="the first", created=now)
    assert Figures.count().accuracy == 0.75


def test_large_figures_are_written_in_groups() -> None:
    lines = Figures(glyphs=1_048_576, labelled=0, votes=12, accuracy=0.8654).lines
    assert [figure for figure, meaning in lines] == ["1,048,576", "0", "12", "86.5%"]
