"""Several networks that decide together: weights, what they say as one, and how sure it may be.

``probabilities`` of several members are ``(m, n, classes)``, of one or of all together ``(n, classes)``; ``labels`` are
class indices ``(n,)``; ``shares`` say how much each glyph counts ``(n,)``, all alike where there are none.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]
Doubles = npt.NDArray[np.float64]
Indices = npt.NDArray[np.integer]

Pooling = Literal["probability", "logarithm"]
"""How opinions are pooled: the weighted mean of probabilities, or of their logarithms (then scaled to add up to 1)."""
POOLINGS: tuple[Pooling, ...] = get_args(Pooling)

FLOOR = 1e-9
"""The least probability of which a logarithm is taken."""

LEAST_WEIGHT = 0.02
"""A member whose best weight is lower is left out: it costs more time than it brings."""

GAP = 2e-5
"""How far above the least possible log-loss weights may stay, in nats."""

STEPS = 500
STRENGTHS = tuple(step / 10 for step in range(11))
"""The corrections for class frequencies that are tried."""

MOST = 10.0
"""So many times the mean may a glyph of a rare class count."""

_Objective = Callable[[Doubles], tuple[float, Doubles]]
"""From weights to the loss and its gradient."""


def normalise(weights: Floats) -> Doubles:
    """Scale ``weights`` ``(m,)`` so that they add up to 1; when all are 0 nobody is preferred and they become equal.

    Raises ValueError when there is none, or one is negative or not finite.
    """
    given = np.asarray(weights, np.float64)
    if given.ndim != 1 or not len(given):
        raise ValueError("an ensemble needs at least one weight")
    if not np.isfinite(given).all() or (given < 0).any():
        raise ValueError("a weight must be a finite number of 0 or more")
    if not given.any():
        given = np.ones_like(given)
    largest = given / given.max()  # First, so that neither huge nor tiny weights leave the range of a float.
    scaled: Doubles = largest / largest.sum()
    return scaled


def combine(probabilities: Floats, weights: Floats, pooling: Pooling = "probability") -> Doubles:
    """Return what members who say ``probabilities`` say together ``(n, classes)``.

    ``weights`` ``(m,)`` are normalised first. Raises ValueError when the two do not fit.
    """
    said = np.asarray(probabilities)
    shares = normalise(weights)
    if said.ndim != 3 or len(said) != len(shares):
        raise ValueError(f"{len(shares)} weights do not fit probabilities of shape {said.shape}")
    if pooling == "logarithm":
        return _softmax(np.tensordot(shares, _logarithms(said), axes=1))
    pooled: Doubles = np.tensordot(shares, said, axes=1)
    return pooled


def correct(probabilities: Floats, counts: npt.NDArray[np.integer], strength: float) -> Doubles:
    """Take from ``probabilities`` what the unequal ``counts`` ``(classes,)`` of the training glyphs put into them.

    Networks say rare classes too seldom where all are met alike. Each probability is divided by the frequency of its
    class to the power of ``strength``, 0 (nothing) to 1 (all of it): Menon et al. 2021, https://arxiv.org/abs/2007.07314,
    their correction after training. One glyph of each class more than were counted keeps all frequencies above 0.
    """
    logarithms = _logarithms(probabilities)
    return _softmax(logarithms - strength * np.log((counts + 1) / (counts.sum() + len(counts))))


def temper(probabilities: Floats, temperature: float) -> Doubles:
    """Return ``probabilities``, their logarithms divided by ``temperature``: above 1 means less sure.

    Guo et al. 2017, https://arxiv.org/abs/1706.04599, applied to what the ensemble says as a whole.
    """
    return _softmax(_logarithms(probabilities) / temperature)


def calibrate(probabilities: Floats, labels: Indices, shares: Floats | None = None) -> float:
    """Return the temperature at which ``probabilities`` ``(n, classes)`` make the ``labels`` likeliest.

    The glyphs must be such as no member has learned from. The loss has one minimum in the logarithm of the temperature,
    which a golden-section search finds to a hundredth. Raises ValueError when there is no glyph.
    """
    if not len(labels):
        raise ValueError("calibration needs at least one glyph")
    logarithms = _logarithms(probabilities)
    logarithms -= logarithms.max(1, keepdims=True)
    own = logarithms[np.arange(len(labels)), labels]

    def loss(log_temperature: float) -> float:
        warmth = float(np.exp(-log_temperature))
        normalisers = np.log(np.exp(logarithms * warmth).sum(1))
        return float(np.average(normalisers - own * warmth, weights=shares))

    ratio = (5**0.5 - 1) / 2
    low, high = -1.6, 1.6
    left, right = high - ratio * (high - low), low + ratio * (high - low)
    at_left, at_right = loss(left), loss(right)
    while high - low > 0.01:
        if at_left < at_right:
            high, right, at_right = right, left, at_left
            left = high - ratio * (high - low)
            at_left = loss(left)
        else:
            low, left, at_left = left, right, at_right
            right = low + ratio * (high - low)
            at_right = loss(right)
    return float(np.exp((low + high) / 2))


def log_loss(probabilities: Floats, labels: Indices, shares: Floats | None = None) -> float:
    """Return the mean of what each label costs in nats: minus the logarithm of its probability."""
    own = np.take_along_axis(probabilities, labels[:, None], axis=1)[:, 0]
    return float(np.average(-np.log(np.maximum(own.astype(np.float64), FLOOR)), weights=shares))


def even(labels: Indices, classes: int) -> Doubles:
    """Return shares by which every class counts alike, however many glyphs it has; but none counts ``MOST`` times."""
    counts = np.bincount(labels, minlength=classes)
    shares: Doubles = np.minimum(len(labels) / (counts[labels] * np.count_nonzero(counts)), MOST)
    return shares


def optimise(
    probabilities: Floats,
    labels: Indices,
    pooling: Pooling = "probability",
    *,
    shares: Floats | None = None,
    least: float = LEAST_WEIGHT,
) -> Doubles:
    """Return the weights ``(m,)`` at which the members together have the least log-loss on ``labels``.

    The loss is convex in the weights in either pooling. Where a weight comes out below ``least`` the member is left out
    and the others are weighed anew, unless equal weights or a single member would then be better. Never worse than
    those. Raises ValueError when there is no glyph.
    """
    if not len(labels):
        raise ValueError("weights can't be found without a glyph")
    said = np.asarray(probabilities)
    objective = _objective(said, labels, pooling, shares)
    best = _descend(objective, len(said))
    simple = [np.full(len(said), 1 / len(said)), *np.eye(len(said))]
    bar = min(objective(weights)[0] for weights in simple)

    def weigh(kept: npt.NDArray[np.bool_]) -> Doubles:
        found = np.zeros(len(said))
        found[kept] = _descend(_objective(said[kept], labels, pooling, shares), int(kept.sum()))
        return found

    sparse = _without_small(best, least, weigh)
    return next(
        (weights for weights in (sparse, best) if objective(weights)[0] <= bar),
        min(simple, key=lambda weights: objective(weights)[0]),
    )


def choose_strength(
    probabilities: Floats, labels: Indices, counts: npt.NDArray[np.integer], shares: Floats
) -> tuple[float, float]:
    """Return the strength of ``correct`` with the least log-loss where each glyph counts by ``shares``, and that loss.

    Each is judged at the temperature that suits it best.
    """
    best = (0.0, float("inf"))
    for strength in STRENGTHS:
        corrected = correct(probabilities, counts, strength)
        loss = log_loss(temper(corrected, calibrate(corrected, labels, shares)), labels, shares)
        if loss < best[1] - 1e-4:  # The least correction of those that do as well.
            best = (strength, loss)
    return best


@dataclass(frozen=True)
class Found:
    """What suits some glyphs best: weights ``(m,)``, pooling, correction, and the log-loss that they bring there."""

    weights: tuple[float, ...]
    pooling: Pooling
    correction: float
    loss: float


def find(
    probabilities: Floats, labels: Indices, counts: npt.NDArray[np.integer], poolings: Sequence[Pooling] = POOLINGS
) -> Found:
    """Return the weights, the pooling and the correction with the least log-loss, where every class counts alike.

    ``counts`` ``(classes,)`` are the training glyphs by class. Of poolings that do as well the first is taken.
    """
    shares = even(labels, len(counts))
    best: Found | None = None
    for pooling in poolings:
        weights = optimise(probabilities, labels, pooling, shares=shares)
        correction, loss = choose_strength(combine(probabilities, weights, pooling), labels, counts, shares)
        if best is None or loss < best.loss - 1e-4:
            best = Found(tuple(weights.tolist()), pooling, correction, loss)
    if best is None:
        raise ValueError("name at least one pooling")
    return best


def _objective(said: Floats, labels: Indices, pooling: Pooling, shares: Floats | None) -> _Objective:
    counting = np.ones(len(labels)) if shares is None else np.asarray(shares, np.float64)
    counting = counting / counting.sum()
    if pooling == "probability":
        own = np.maximum(said[:, np.arange(len(labels)), labels].astype(np.float64), FLOOR)  # (m, n)

        def mixed(weights: Doubles) -> tuple[float, Doubles]:
            together = weights @ own
            return -float(counting @ np.log(together)), -(own @ (counting / together))

        return mixed
    logarithms = _logarithms(said).astype(np.float32)  # (m, n, classes)
    rows = np.arange(len(labels))

    def multiplied(weights: Doubles) -> tuple[float, Doubles]:
        pooled = np.tensordot(weights.astype(np.float32), logarithms, axes=1)
        pooled -= pooled.max(1, keepdims=True)
        own = pooled[rows, labels].astype(np.float64)
        pooled = np.exp(pooled)
        totals = pooled.sum(1)
        loss = float(counting @ (np.log(totals) - own))
        pooled *= (counting / totals)[:, None].astype(np.float32)
        expected = logarithms.reshape(len(weights), -1) @ pooled.reshape(-1)
        return loss, expected - logarithms[:, rows, labels] @ counting

    return multiplied


def _descend(objective: _Objective, members: int) -> Doubles:
    """Follow the exponentiated gradient (Kivinen & Warmuth 1997) from equal weights, its steps as long as they pay.

    The loss is convex, so it is at most ``weights @ gradient - gradient.min()`` above the least.
    """
    weights, step = np.full(members, 1 / members), 1.0
    loss, gradient = objective(weights)
    for _ in range(STEPS):
        if weights @ gradient - gradient.min() <= GAP:
            break
        moved = weights * np.exp(-step * (gradient - gradient.min()))
        moved /= moved.sum()
        try_loss, try_gradient = objective(moved)
        if try_loss < loss:
            weights, loss, gradient, step = moved, try_loss, try_gradient, step * 1.6
        else:
            step /= 4
            if step < 1e-6:
                break
    return weights


def _without_small(weights: Doubles, least: float, weigh: Callable[[npt.NDArray[np.bool_]], Doubles]) -> Doubles:
    """Leave out what weighs less than ``least`` and ``weigh`` the others anew, until nothing does."""
    while True:
        kept = weights >= min(least, weights.max())
        if not (weights[~kept] > 0).any():
            return weights
        weights = weigh(kept)


def _logarithms(probabilities: Floats) -> Doubles:
    logarithms: Doubles = np.log(np.maximum(np.asarray(probabilities, np.float64), FLOOR))
    return logarithms


def _softmax(logarithms: Doubles) -> Doubles:
    shares = np.exp(logarithms - logarithms.max(1, keepdims=True))
    softened: Doubles = shares / shares.sum(1, keepdims=True)
    return softened
