"""What weights would be worth on the validation glyphs, found at once from what the networks said of them before."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from django.core.exceptions import ValidationError

from drcaptcha.errors import BadRequest, NotPossible
from drcaptcha.learning import registry, scoring, validation
from drcaptcha.learning.models import Ensemble, Network
from handwriting import metrics
from handwriting.ensembles import POOLINGS, calibrate, even, log_loss, temper

MOST_WEIGHED = 8 * 5_000 * 47
"""Networks × glyphs × classes that are weighed while somebody waits: about a second of one core."""


@dataclass(frozen=True)
class Preview:
    """Figures on so many validation glyphs, each class counting alike, as where weights are found; calibrated.

    ``weights`` add up to 1, in the order of the members. The interval is that of as many glyphs as say the same alike.
    """

    glyphs: int
    accuracy: float
    low: float
    high: float
    log_loss: float
    weights: tuple[float, ...]
    pooling: str
    correction: float


def preview(members: Sequence[tuple[int, float]], pooling: str, correction: float) -> Preview:
    """Return what networks, by their numbers, would be worth with these weights.

    Raises:
        BadRequest: they can't decide together like this.
        NotPossible: they share no validation glyphs yet.
    """
    networks = _checked(members, pooling, correction)
    weights = [weight for _, weight in members]
    shares = tuple(weight / sum(weights) for weight in weights)
    networks = [network for network, weight in zip(networks, weights, strict=True) if weight > 0]
    common = validation.of(networks)
    if not len(common):
        raise NotPossible("These networks share no validation glyphs yet. Save, and wait for the evaluation.")
    counts = validation.learned_counts(networks).tolist() if correction else ()
    decided = registry.Committee(
        [registry.classifier(network) for network in networks],
        [weight for weight in weights if weight > 0],
        pooling="logarithm" if pooling == "logarithm" else "probability",
        correction=correction,
        counts=counts,
    )
    said = decided.concluded(common.probabilities)
    counting = even(common.labels, said.shape[1])
    loss = log_loss(temper(said, calibrate(said, common.labels, counting)), common.labels, counting)
    accuracy = float(np.average(said.argmax(axis=1) == common.labels, weights=counting))
    alike = counting.sum() ** 2 / (counting**2).sum()  # Kish 1965: so many glyphs that count alike tell as much.
    interval = metrics.share(round(accuracy * round(alike)), round(alike))
    return Preview(len(common), accuracy, interval.low, interval.high, loss, shares, pooling, correction)


def best(networks: Sequence[int]) -> Preview:
    """Return the weights that suit these networks best, with what they would be worth.

    Raises:
        BadRequest: they can't decide together.
        NotPossible: they share too few validation glyphs, or there is so much to weigh that nobody would wait for it.
    """
    rows = _checked([(key, 1.0) for key in networks], "probability", 0)
    size = validation.of(rows).probabilities.size
    if size > MOST_WEIGHED:
        raise NotPossible(
            f"To weigh {len(rows)} networks takes too long here. Save them, then choose “Find the best weights” in the "
            "list of ensembles, or run: manage.py optimizeensembleweights."
        )
    found = scoring.best_weights(rows, "auto")
    return preview(list(zip(networks, found.weights, strict=True)), found.pooling, found.correction)


def _checked(members: Sequence[tuple[int, float]], pooling: str, correction: float) -> list[Network]:
    networks = Network.objects.defer("history").in_bulk([key for key, _ in members])
    missing = [key for key, _ in members if key not in networks]
    if missing:
        raise BadRequest(f"There is no network {missing[0]}.")
    if pooling not in POOLINGS or not 0 <= correction <= 1:
        raise BadRequest(f"The pooling must be one of {', '.join(POOLINGS)}, the correction from 0 to 1.")
    try:
        Ensemble.check_members([(networks[key], weight) for key, weight in members])
    except ValidationError as fault:
        raise BadRequest(str(fault.message)) from fault
    return [networks[key] for key, _ in members]
