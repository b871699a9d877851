"""How good predictions are, in numbers.

``probabilities`` are float ``(n, classes)``, ``predicted`` and ``labels`` are class indices ``(n,)``.
"""

from dataclasses import dataclass
from math import exp, sqrt

import numpy as np
import numpy.typing as npt

Indices = npt.NDArray[np.integer]
LEAST_ALIKE = 0.01
"""Classes of which fewer are taken for each other, of either added up, do not belong together."""
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


def precision(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return by class, from a ``confusion``, how much of what was taken for it is it; 0 where nothing was."""
    return _ratio(np.diag(counts), counts.sum(axis=0))


def recall(counts: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """Return by class, from a ``confusion``, how much of it was taken for it; 0 where there is none."""
    return _ratio(np.diag(counts), counts.sum(axis=1))


def macro_f1(counts: npt.NDArray[np.int64]) -> float:
    """Return the mean over the classes that have labels of the harmonic mean of precision and recall."""
    taken, there = counts.sum(axis=0), counts.sum(axis=1)
    scores = _ratio(2 * np.diag(counts), taken + there)
    return float(scores[there > 0].mean()) if there.any() else 0.0


def log_loss(probabilities: npt.NDArray[np.floating], labels: Indices) -> float:
    """Return the mean cost of a label in nats; a probability counts as 1e-9 at least."""
    _check(probabilities, labels)
    own = np.take_along_axis(probabilities, labels[:, None], axis=1).astype(np.float64)
    return float(-np.log(np.maximum(own, 1e-9)).mean())


def brier(probabilities: npt.NDArray[np.floating], labels: Indices) -> float:
    """Return the mean squared distance from the truth, summed over classes: 0 to 2 (Brier 1950)."""
    _check(probabilities, labels)
    own = np.take_along_axis(probabilities, labels[:, None], axis=1).astype(np.float64)[:, 0]
    return float((np.square(probabilities, dtype=np.float64).sum(axis=1) - 2 * own + 1).mean())


def clustered(counts: npt.NDArray[np.int64]) -> list[int]:
    """Return the classes of a ``confusion`` in an order that brings together those that are taken for each other.

    Average linkage: the two groups that are confused the most, for the sizes of their classes, are joined again and
    again, end to end where they are the most alike. Those that hardly are (``LEAST_ALIKE``) keep their order.
    """
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    alike = shares + shares.T
    np.fill_diagonal(alike, 0)
    groups = [[position] for position in range(len(counts))]
    while len(groups) > 1:
        means = np.array([[alike[np.ix_(one, other)].mean() for other in groups] for one in groups])
        np.fill_diagonal(means, 0)
        first, second = sorted(divmod(int(means.argmax()), len(groups)))
        if means[first, second] < LEAST_ALIKE:
            break
        groups[first] = _joined(groups[first], groups.pop(second), alike)
    return [position for group in sorted(groups, key=min) for position in group]


def _joined(one: list[int], other: list[int], alike: npt.NDArray[np.float64]) -> list[int]:
    """Put two groups end to end, each turned round where their ends are then more alike."""
    ways = [(a, b) for a in (one, one[::-1]) for b in (other, other[::-1])]
    left, right = max(ways, key=lambda way: alike[way[0][-1], way[1][0]])
    return left + right


@dataclass(frozen=True)
class Bins:
    """Rows in bins by how sure they are of their likeliest class: mean of that, share that is right, and number."""

    confidence: npt.NDArray[np.float64]
    accuracy: npt.NDArray[np.float64]
    count: npt.NDArray[np.int64]

    @property
    def error(self) -> float:
        """The expected calibration error: the mean distance of accuracy from confidence, by rows."""
        return float((self.count * np.abs(self.accuracy - self.confidence)).sum() / self.count.sum())


def reliability(probabilities: npt.NDArray[np.floating], labels: Indices, bins: int = 15) -> Bins:
    """Sort rows into ``bins`` of equal mass, from the least sure to the surest (fewer where there are fewer rows).

    Bins of equal width, the other custom, leave most of an accurate recogniser's rows in the last one.
    """
    _check(probabilities, labels)
    sure = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == labels
    parts = np.array_split(np.argsort(sure, kind="stable"), min(bins, len(labels)))
    return Bins(
        np.array([sure[part].mean() for part in parts]),
        np.array([right[part].mean() for part in parts]),
        np.array([len(part) for part in parts]),
    )


@dataclass(frozen=True)
class Duel:
    """Two recognisers on the same glyphs: how many only the first and only the second had right, and the p-value."""

    first: int
    second: int
    p_value: float


def mcnemar(first: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_]) -> Duel:
    """Test whether two recognisers that had ``first`` and ``second`` ``(n,)`` right differ (McNemar 1947).

    Exact and two-sided: where they differ, each would be the right one half of the time by chance.
    """
    if first.shape != second.shape:
        raise ValueError(f"{first.shape} and {second.shape} glyphs can't be compared")
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    trials, fewer = only_first + only_second, min(only_first, only_second)
    ways, total = 1, 1  # Of 0 of the trials; then of up to `fewer` of them. Whole numbers, so nothing is lost.
    for position in range(1, fewer + 1):
        ways = ways * (trials - position + 1) // position
        total += ways
    return Duel(only_first, only_second, min(1.0, 2 * total / 2**trials))


def _ratio(parts: npt.NDArray[np.int64], wholes: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    return np.divide(parts, wholes, out=np.zeros(len(parts)), where=wholes > 0)


def _check(probabilities: npt.NDArray[np.floating], labels: Indices) -> None:
    if probabilities.ndim != 2 or labels.shape != probabilities.shape[:1]:
        raise ValueError(f"probabilities {probabilities.shape} do not fit labels {labels.shape}")
