"""Networks ready to predict, and the ensemble that serves."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import cast

import numpy as np
from django.conf import settings
from django.db import connection
from django.db.models import QuerySet
from numpy.typing import NDArray

from drcaptcha.errors import NotPossible
from drcaptcha.learning.models import Evaluation, Network, Promotion
from handwriting.alphabet import ALPHABETS
from handwriting.ensembles import Pooling, combine, correct, temper
from handwriting.inference import Classifier

MOST_LOADED = 8
"""Networks kept in memory by a process; beyond it the one that was asked least lately goes."""


class Committee:
    """Networks that decide together, as they were judged."""

    def __init__(
        self,
        members: Sequence[Classifier],
        weights: Sequence[float],
        *,
        pooling: Pooling = "probability",
        correction: float = 0.0,
        counts: Sequence[int] = (),
        temperature: float = 1.0,
    ) -> None:
        if len({member.classes for member in members}) > 1:
            raise ValueError("the networks of an ensemble must tell the same classes apart, in the same order")
        self.members = tuple(members)
        self.weights = np.array(weights, np.float64)
        self.classes = self.members[0].classes
        self.pooling = pooling
        self.correction = correction
        self.counts = np.array(counts, np.int64)
        self.temperature = temperature

    def probabilities(self, glyphs: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Return calibrated ``(n, classes)`` for uint8 ``glyphs`` ``(n, 28, 28)``."""
        return self.concluded(np.stack([member.probabilities(glyphs) for member in self.members]))

    def concluded(self, said: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return what members who say ``said`` ``(m, n, classes)`` say together, corrected and calibrated."""
        pooled = combine(said, self.weights, self.pooling)
        if self.correction:
            pooled = correct(pooled, self.counts, self.correction)
        return pooled if self.temperature == 1 else temper(pooled, self.temperature)


def champion() -> Evaluation | None:
    """Return the ensemble that serves, as it was judged; None where none of the alphabet in use does.

    Read from the database each time, so that every process notices a promotion at once.
    """
    promotion = promotions().first()
    return None if promotion is None else promotion.evaluation


def promotions() -> QuerySet[Promotion]:
    """Select the promotions of the alphabet in use whose evaluation is still there, the latest first."""
    classes = "".join(ALPHABETS[settings.DRCAPTCHA_ALPHABET].classes)
    return (
        Promotion.objects.filter(classes=classes)
        .exclude(evaluation=None)
        .select_related("evaluation__ensemble")
        .defer("evaluation__confusion", "evaluation__said", "evaluation__right")
        .order_by("-pk")
    )


def locked_holder() -> Promotion | None:
    """Return the promotion that serves, and let nobody change that until the transaction ends that this is called in.

    SQLite has one writer at a time anyway.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"LOCK TABLE {Promotion._meta.db_table} IN SHARE ROW EXCLUSIVE MODE")  # noqa: SLF001
    return promotions().first()


def committee(judged: Evaluation, *, threads: int = 1) -> Committee:
    """Return the networks of an evaluation, with all else that decides what it says.

    Networks that weigh nothing are left out.

    Raises:
        NotPossible: a network is gone.
    """
    weights = {int(key): weight for key, weight in judged.weights.items() if weight > 0}
    networks = members_of(judged)
    return Committee(
        [classifier(network, threads=threads) for network in networks],
        [weights[network.pk] for network in networks],
        pooling=cast("Pooling", judged.pooling),
        correction=judged.correction,
        counts=judged.counts,
        temperature=judged.temperature,
    )


def members_of(judged: Evaluation) -> list[Network]:
    """Return the networks that have a say in an evaluation, in the order of their keys.

    Raises:
        NotPossible: one is gone.
    """
    keys = [int(key) for key, weight in judged.weights.items() if weight > 0]
    networks = list(Network.objects.filter(pk__in=keys).defer("history").order_by("pk"))
    if len(networks) < len(keys) or not keys:
        raise NotPossible(f"A network of {judged.ensemble} is gone. Evaluate the ensemble again.")
    return networks


def lost(judged: Evaluation) -> list[str]:
    """Name the networks with a say in an evaluation that are gone, or of which the file is."""
    networks = Network.objects.only("onnx").in_bulk(int(key) for key, weight in judged.weights.items() if weight > 0)
    there = {str(key) for key, network in networks.items() if network.onnx.storage.exists(network.onnx.name or "")}
    return [f"network {key}" for key, weight in judged.weights.items() if weight > 0 and key not in there]


def classifier(network: Network, *, threads: int = 1) -> Classifier:
    """Return ``network`` ready to predict, from memory where it is. ``threads`` of 0 takes all cores."""
    return _load(network.onnx.path, network.classes, threads)


@lru_cache(maxsize=MOST_LOADED)
def _load(path: str, classes: str, threads: int) -> Classifier:
    # A network's folder is never used again, so a path always means the same file.
    return Classifier(Path(path), classes, threads=threads)
