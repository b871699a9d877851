"""Parts of a mask that hang together."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Parts:
    """Connected parts of a mask: each pixel's row, column and part, and each part's box as first and last pixel."""

    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    part: NDArray[np.intp]
    areas: NDArray[np.intp]
    low: NDArray[np.intp]
    high: NDArray[np.intp]

    @property
    def sides(self) -> NDArray[np.intp]:
        """Height and width of each part: (n, 2)."""
        return self.high - self.low + 1


def find_parts(mask: NDArray[np.bool_]) -> Parts:
    """Find the parts of a mask that hang together, corners included, by joining the runs of neighbouring rows."""
    height, width = mask.shape
    stride = width + 2
    edges = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    row, start = np.nonzero(edges == 1)
    stop = np.nonzero(edges == -1)[1]
    # Of the row below, every run from the first that ends at or after our start to the last that starts by our stop.
    first = np.searchsorted(row * stride + stop, (row + 1) * stride + start, "left")
    last = np.searchsorted(row * stride + start, (row + 1) * stride + stop, "right")
    counts = last - first
    above = np.repeat(np.arange(len(row)), counts)
    below = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts) + np.repeat(first, counts)
    part = _join(len(row), above, below)
    lengths = stop - start
    part = np.repeat(part, lengths)
    rows, columns = np.nonzero(mask)
    place = np.stack([rows, columns], axis=1)
    low = np.full((part.max() + 1, 2), max(height, width))
    high = np.zeros_like(low)
    np.minimum.at(low, part, place)
    np.maximum.at(high, part, place)
    return Parts(rows, columns, part, np.bincount(part), low, high)


def _join(count: int, one: NDArray[np.intp], other: NDArray[np.intp]) -> NDArray[np.intp]:
    """Number the connected groups of ``count`` things, of which each of ``one`` touches its peer in ``other``."""
    group = np.arange(count)
    while (group[one] != group[other]).any():
        lower = np.minimum(group[one], group[other])
        np.minimum.at(group, group[one], lower)
        np.minimum.at(group, group[other], lower)
        while (group[group] != group).any():
            group = group[group]
    return np.unique(group, return_inverse=True)[1]
