"""Several networks that decide together: weights, and the weighted mean of what the members say."""

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
