"""Arrays of levels, and how they are made smaller."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

LONGEST = 640
"""Pixels to which the longer side of a picture is reduced before it is examined."""

Floats = NDArray[np.float32]


def reduced(width: int, height: int) -> tuple[int, int]:
    """Return width and height such that neither is over LONGEST."""
    share = min(1.0, LONGEST / max(width, height))
    return max(1, round(width * share)), max(1, round(height * share))


def resize(levels: Floats, size: tuple[int, int]) -> Floats:
    """Average a picture (height, width) down to ``size`` (width, height)."""
    if size == levels.shape[::-1]:
        return levels
    return np.asarray(Image.fromarray(levels).resize(size, Image.Resampling.BOX))


def enlarge(levels: Floats, shape: tuple[int, ...]) -> Floats:
    """Interpolate a small picture (height, width) up to ``shape`` (height, width)."""
    return np.asarray(Image.fromarray(levels).resize((shape[1], shape[0]), Image.Resampling.BILINEAR))


def lowest(levels: Floats, rows: int, columns: int | None = None) -> Floats:
    """Return the least level around each pixel, in a window of odd sides."""
    return -highest(-levels, rows, columns)


def highest(levels: Floats, rows: int, columns: int | None = None) -> Floats:
    """Return the greatest level around each pixel, in a window of odd sides, square where one is given."""
    down = _windows(levels, rows, 1).max(axis=(2, 3))
    found: Floats = _windows(down, 1, rows if columns is None else columns).max(axis=(2, 3))
    return found


def middle(levels: Floats, side: int) -> Floats:
    """Return the median around each pixel, in a square window of odd side."""
    windows = _windows(levels, side, side).reshape(*levels.shape, -1)
    found: Floats = np.partition(windows, side * side // 2, axis=-1)[..., side * side // 2]
    return found


def _windows(levels: Floats, rows: int, columns: int) -> Floats:
    padded = np.pad(levels, ((rows // 2, rows // 2), (columns // 2, columns // 2)), mode="reflect")
    return np.lib.stride_tricks.sliding_window_view(padded, (rows, columns))
