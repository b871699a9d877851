"""What weights would be worth on the validation glyphs, found at once from what the networks said of them before."""

from collections.abc import Sequence
from dataclasses import dataclass

from django.core.exceptions import ValidationError

from drcaptcha.errors import BadRequest, NotPossible
from drcaptcha.learning import registry, scoring, validation
from drcaptcha.learning.models import Ensemble, Network
from handwriting import metrics
from handwriting.ensembles import POOLINGS, calibrate


@dataclass(frozen=True)
class Preview:
    """Figures on so many validation glyphs, calibrated; ``weights`` add up to 1, in the order of the members."""

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
    common = validation.of(networks)
    if not len(common):
        raise NotPossible("These networks share no validation glyphs yet. Save, and wait for the evaluation.")
    weights = [weight for _, weight in members]
    counts = validation.learned_counts(networks).tolist() if correction else ()
    decided = registry.Committee(
        [registry.classifier(network) for network in networks],
        weights,
        pooling="logarithm" if pooling == "logarithm" else "probability",
        correction=correction,
        counts=counts,
    )
    said = decided.concluded(common.probabilities)
    decided.temperature = calibrate(said, common.labels)
    share = metrics.accuracy(said, common.labels)
    loss = metrics.log_loss(decided.concluded(common.probabilities), common.labels)
    shares = tuple(weight / sum(weights) for weight in weights)
    return Preview(share.total, share.value, share.low, share.high, loss, shares, pooling, correction)


def best(networks: Sequence[int]) -> Preview:
    """Return the weights that suit these networks best, with what they would be worth.

    Raises:
        BadRequest: they can't decide together.
        NotPossible: they share too few validation glyphs.
    """
    rows = _checked([(key, 1.0) for key in networks], "probability", 0)
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
