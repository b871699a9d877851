"""Several networks that decide together: weights, the weighted mean of what the members say, and how sure it may be."""

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]


def normalise(weights: Floats) -> npt.NDArray[np.float64]:
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
    scaled: npt.NDArray[np.float64] = largest / largest.sum()
    return scaled


def combine(probabilities: Floats, weights: Floats) -> npt.NDArray[np.float64]:
    """Return the weighted mean ``(n, classes)`` of the members' ``probabilities`` ``(m, n, classes)``.

    ``weights`` ``(m,)`` are normalised first. Raises ValueError when the two do not fit.
    """
    said = np.asarray(probabilities)
    shares = normalise(weights)
    if said.ndim != 3 or len(said) != len(shares):
        raise ValueError(f"{len(shares)} weights do not fit probabilities of shape {said.shape}")
    pooled: npt.NDArray[np.float64] = np.tensordot(shares, said, axes=1)
    return pooled


def temper(probabilities: Floats, temperature: float) -> npt.NDArray[np.float64]:
    """Return ``probabilities`` ``(n, classes)``, their logarithms divided by ``temperature``: above 1 means less sure.

    Guo et al. 2017, https://arxiv.org/abs/1706.04599, applied to what the ensemble says as a whole.
    """
    logits = np.log(np.maximum(np.asarray(probabilities, np.float64), 1e-9)) / temperature
    shares = np.exp(logits - logits.max(1, keepdims=True))
    tempered: npt.NDArray[np.float64] = shares / shares.sum(1, keepdims=True)
    return tempered


def calibrate(probabilities: Floats, labels: npt.NDArray[np.integer]) -> float:
    """Return the temperature at which ``probabilities`` ``(n, classes)`` make the ``labels`` ``(n,)`` likeliest.

    The glyphs must be such as no member has learned from. The loss has one minimum in the logarithm of the temperature,
    which a golden-section search finds to a hundredth. Raises ValueError when there is no glyph.
    """
    if not len(labels):
        raise ValueError("calibration needs at least one glyph")

    def loss(log_temperature: float) -> float:
        tempered = temper(probabilities, float(np.exp(log_temperature)))
        return -float(np.log(tempered[np.arange(len(labels)), labels] + 1e-12).mean())

    ratio = (5**0.5 - 1) / 2
    low, high = -1.6, 1.6
    while high - low > 0.01:
        left, right = high - ratio * (high - low), low + ratio * (high - low)
        if loss(left) < loss(right):
            high = right
        else:
            low = left
    return float(np.exp((low + high) / 2))
