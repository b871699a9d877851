"""How good predictions are, in numbers.

``probabilities`` are float ``(n, classes)``, ``predicted`` and ``labels`` are class indices ``(n,)``.
"""

from dataclasses import dataclass
from math import exp, sqrt

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.integer]
Z_95 = 1.959963984540054
"""The standard normal quantile at 97.5 %."""


@dataclass(frozen=True)
class Share:
    """``hits`` out of ``total``, with the 95 % interval in which the true share lies."""

    hits: int
    total: int
    low: float
    high: float

    @property
    def value(self) -> float:
        """The share itself, 0 to 1."""
        return self.hits / self.total


def share(hits: int, total: int) -> Share:
    """Return ``hits / total`` with its Wilson score interval (Wilson 1927); ValueError when there is no trial."""
    if not 0 <= hits <= total or total == 0:
        raise ValueError(f"{hits} of {total} is no share")
    value = hits / total
    spread = Z_95**2 / total
    centre = (value + spread / 2) / (1 + spread)
    reach = Z_95 / (1 + spread) * sqrt(value * (1 - value) / total + spread / (4 * total))
    return Share(hits, total, max(0.0, centre - reach), min(1.0, centre + reach))


@dataclass(frozen=True)
class Estimate:
    """A share that was not counted but concluded, 0 to 1, with its 95 % interval."""

    value: float
    low: float
    high: float


def confirmed(hits: int, total: int, sure_hits: int, sure_total: int) -> Estimate:
    """Return the share of labels that are right, when readers confirmed ``hits`` of ``total`` of them.

    Readers err too: of labels that are surely right they confirmed ``sure_hits`` of ``sure_total``. So the share is the
    ratio of the two rates, but never more than 1. The interval is that of the ratio's logarithm by the delta method
    (Katz et al. 1978, https://doi.org/10.2307/2530610), with half a hit and half a miss added to either rate, so that
    it does not vanish where every label was confirmed. Where it lies above 1, these labels are easier to read than
    those that are surely right; then no more is sure than what was confirmed.

    Raises:
        ValueError: there is no trial, or not one label that is surely right was confirmed.
    """
    if not (0 <= hits <= total and 0 < sure_hits <= sure_total and total):
        raise ValueError(f"{hits} of {total} can't be measured by {sure_hits} of {sure_total}")
    value = min(1.0, hits / total * sure_total / sure_hits)
    centre = (hits + 0.5) / (total + 1) * (sure_total + 1) / (sure_hits + 0.5)
    spread = sum(1 / (part + 0.5) - 1 / (whole + 1) for part, whole in ((hits, total), (sure_hits, sure_total)))
    reach = exp(Z_95 * sqrt(spread))
    low = centre / reach if centre < reach else share(hits, total).low
    return Estimate(value, min(value, low), max(value, min(1.0, centre * reach)))


def accuracy(probabilities: npt.NDArray[np.floating], labels: Indices) -> Share:
    """Return the share of rows whose likeliest class is the label."""
    return top_k(probabilities, labels, 1)


def top_k(probabilities: npt.NDArray[np.floating], labels: Indices, k: int) -> Share:
    """Return the share of rows whose label is among the ``k`` likeliest; of equal classes the first is the likelier."""
    _check(probabilities, labels)
    own = np.take_along_axis(probabilities, labels[:, None], axis=1)
    earlier = np.arange(probabilities.shape[1]) < labels[:, None]
    ahead = (probabilities > own) | ((probabilities == own) & earlier)
    return share(int((ahead.sum(axis=1) < k).sum()), len(labels))


def confusion(predicted: Indices, labels: Indices, classes: int) -> npt.NDArray[np.int64]:
    """Count ``(classes, classes)``: the row is the label, the column what was predicted for it."""
    if predicted.shape != labels.shape:
        raise ValueError(f"{predicted.shape} predictions do not fit {labels.shape} labels")
    pairs = labels.astype(np.int64) * classes + predicted
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


def _check(probabilities: npt.NDArray[np.floating], labels: Indices) -> None:
    if probabilities.ndim != 2 or labels.shape != probabilities.shape[:1]:
        raise ValueError(f"probabilities {probabilities.shape} do not fit labels {labels.shape}")
