"""What an ensemble is worth, measured on the test glyphs."""

import time
from datetime import datetime

from django.db import transaction

from drcaptcha.errors import NotPossible
from drcaptcha.learning import examples, registry
from drcaptcha.learning.models import Ensemble, Evaluation
from handwriting import metrics
from handwriting.inference import InferenceError


def evaluate(ensemble: Ensemble, *, now: datetime) -> Evaluation:
    """Measure ``ensemble`` with the weights that it has, and store the result.

    Raises:
        NotPossible: it has no network with a weight, there are no test glyphs, or a file can't be read.
    """
    started = time.perf_counter()
    weights = dict(ensemble.memberships.order_by("pk").values_list("network", "weight"))
    if not any(weights.values()):
        raise NotPossible(f"The ensemble {ensemble} has no network with a weight above 0. Give it one.")
    members = registry.committee(ensemble, threads=0)
    judging = examples.judging(examples.alphabet_of("".join(members.classes)))
    try:
        share = metrics.accuracy(members.probabilities(judging.glyphs), judging.labels)
    except InferenceError as fault:
        raise NotPossible(f"A network of the ensemble {ensemble} can't be used: {fault}") from fault
    return Evaluation.objects.create(
        ensemble=ensemble,
        created=now,
        accuracy=share.value,
        test_size=share.total,
        weights={str(network): weight for network, weight in weights.items()},
        seconds=time.perf_counter() - started,
    )


def normalise(ensemble: Ensemble, *, now: datetime) -> Evaluation:
    """Scale the weights of ``ensemble`` to add up to 1, and evaluate it again."""
    if not ensemble.memberships.exists():
        raise NotPossible(f"The ensemble {ensemble} has no networks. Add one first.")
    with transaction.atomic():
        ensemble.normalize()
    return evaluate(ensemble, now=now)
