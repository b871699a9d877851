"""Networks ready to predict, and the ensemble that serves."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from django.conf import settings
from django.db.models import OuterRef, Subquery
from numpy.typing import NDArray

from drcaptcha.learning.models import Ensemble, Evaluation, Network
from handwriting.alphabet import ALPHABETS
from handwriting.ensembles import combine
from handwriting.inference import Classifier

MOST_LOADED = 8
"""Networks kept in memory by a process; beyond it the one that was asked least lately goes."""


class Committee:
    """Networks that decide together by the weighted mean of their probabilities."""

    def __init__(self, members: Sequence[Classifier], weights: Sequence[float]) -> None:
        if len({member.classes for member in members}) > 1:
            raise ValueError("the networks of an ensemble must tell the same classes apart, in the same order")
        self.members = tuple(members)
        self.weights = np.array(weights, np.float64)
        self.classes = self.members[0].classes

    def probabilities(self, glyphs: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Return ``(n, classes)`` for uint8 ``glyphs`` ``(n, 28, 28)``."""
        return combine(np.stack([member.probabilities(glyphs) for member in self.members]), self.weights)


def best() -> Ensemble | None:
    """Return the ensemble whose latest evaluation is the highest, of equals the newer; None where none has one.

    Only what can be compared is: ensembles of the alphabet in use, judged by as many test glyphs as the one that was
    judged last. After an import has brought test glyphs, an older ensemble has to be evaluated again to be chosen.
    """
    latest = Evaluation.objects.filter(ensemble=OuterRef("pk")).order_by("-created", "-pk")
    classes = "".join(ALPHABETS[settings.DRCAPTCHA_ALPHABET].classes)
    judged = (
        Ensemble.objects.filter(networks__classes=classes)
        .annotate(
            judged=Subquery(latest.values("created")[:1]),
            accuracy=Subquery(latest.values("accuracy")[:1]),
            test_size=Subquery(latest.values("test_size")[:1]),
        )
        .exclude(judged=None)
        .distinct()
    )
    last = judged.order_by("-judged", "-pk").first()
    return last and judged.filter(test_size=last.test_size).order_by("-accuracy", "-pk").first()


def committee(ensemble: Ensemble, *, threads: int = 1) -> Committee:
    """Return the networks of ``ensemble`` with their weights. Those that weigh nothing are left out."""
    members = list(ensemble.memberships.filter(weight__gt=0).select_related("network").order_by("pk"))
    return Committee(
        [classifier(member.network, threads=threads) for member in members], [member.weight for member in members]
    )


def classifier(network: Network, *, threads: int = 1) -> Classifier:
    """Return ``network`` ready to predict, from memory where it is. ``threads`` of 0 takes all cores."""
    return _load(network.onnx.path, network.classes, threads)


@lru_cache(maxsize=MOST_LOADED)
def _load(path: str, classes: str, threads: int) -> Classifier:
    # A network's folder is never used again, so a path always means the same file.
    return Classifier(Path(path), classes, threads=threads)
