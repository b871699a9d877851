"""What an ensemble is worth, measured on the test glyphs."""

import time
from datetime import datetime

from django.db import transaction

from drcaptcha.errors import NotPossible
from drcaptcha.learning import examples, opinions, registry
from drcaptcha.learning.models import Ensemble, Evaluation
from handwriting import metrics
from handwriting.inference import InferenceError


def evaluate(ensemble: Ensemble, *, now: datetime) -> Evaluation:
    """Measure ``ensemble`` with the weights that it has, and store the result.

    Where it is the one that serves from then on, the glyphs whose label is wanted get its opinion as their prior.

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
        temperature = opinions.temperature(ensemble, members)
    except InferenceError as fault:
        raise NotPossible(f"A network of the ensemble {ensemble} can't be used: {fault}") from fault
    before = ensemble.evaluation
    evaluation = Evaluation.objects.create(
        ensemble=ensemble,
        created=now,
        accuracy=share.value,
        test_size=share.total,
        weights={str(network): weight for network, weight in weights.items()},
        temperature=temperature,
        seconds=time.perf_counter() - started,
    )
    if registry.best() == ensemble:
        same = before is not None and (before.weights, before.temperature) == (evaluation.weights, temperature)
        opinions.score(ensemble, now=now, missing=same and ensemble.priors.exists())
    return evaluation


def normalise(ensemble: Ensemble, *, now: datetime) -> Evaluation:
    """Scale the weights of ``ensemble`` to add up to 1, and evaluate it again."""
    if not ensemble.memberships.exists():
        raise NotPossible(f"The ensemble {ensemble} has no networks. Add one first.")
    with transaction.atomic():
        ensemble.normalize()
    return evaluate(ensemble, now=now)
