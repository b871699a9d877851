"""Ink → the strokes of one character: no specks, no frame around it, no line beside it."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from handwriting.preprocessing.errors import BLANK, SEVERAL, PictureError
from handwriting.preprocessing.levels import Floats
from handwriting.preprocessing.parts import Parts, find_parts

SOLID = 0.4
"""Darkness from which a pixel belongs to a stroke; below it is the stroke's soft edge."""
APART = 0.2
"""Room between two characters as a share of their height; the halves of a broken one stand nearer."""
SMALLEST = 5
"""Pixels that the longer side of a character's largest stroke has at least; anything smaller is dust."""


def find_strokes(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Keep the parts of a mask that belong to the character: no specks, no frame around it, no rule beside it.

    Raises PictureError when nothing is left that could be a character.
    """
    if not mask.any():
        raise PictureError(BLANK)
    parts = find_parts(mask)
    rules = _rules(parts, mask.shape)
    if rules.any() and parts.sides[~rules].max(initial=0) >= 0.15 * min(mask.shape):
        keep = ~rules
    else:
        keep = np.ones(len(parts.areas), bool)
    largest = int(np.argmax(parts.areas * keep))
    if parts.sides[largest].max() < max(SMALLEST, 0.02 * max(mask.shape)):
        raise PictureError(BLANK)
    keep &= _belongs(parts, largest)
    if _abreast(parts, keep):
        raise PictureError(SEVERAL)
    kept = np.zeros_like(mask)
    shown = keep[parts.part]
    kept[parts.rows[shown], parts.columns[shown]] = True
    return kept


def rub_out(darkness: Floats, dropped: NDArray[np.bool_], strokes: NDArray[np.bool_]) -> None:
    """Take what was dropped out of ``darkness``, with its soft edges, but nothing that belongs to the strokes."""
    if dropped.any():
        around = np.asarray(Image.fromarray(dropped).convert("L").filter(ImageFilter.MaxFilter(5)), bool)
        darkness[around & ~strokes] = 0


def _rules(parts: Parts, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Tell which parts are a frame, or a line along an edge of the picture: nothing but straight lines at a border."""
    size = np.array(shape)
    band = np.maximum(2, 0.06 * size)
    place = np.stack([parts.rows, parts.columns], axis=1)
    depth = np.minimum(place - parts.low[parts.part], parts.high[parts.part] - place)
    at_border = (depth <= band).any(axis=1)
    hollow = np.bincount(parts.part[at_border], minlength=len(parts.areas)) >= 0.95 * parts.areas
    frame = hollow & (parts.sides >= 0.6 * size).all(axis=1)
    outside = (parts.high < 0.12 * size) | (parts.low > 0.88 * size - 1)
    # Thinner than any pen that fills a picture, or a tightly cropped T would lose its bar.
    thin = parts.areas[:, None] / parts.sides <= np.maximum(1, 0.025 * size[::-1])
    line = ((parts.sides >= 0.6 * size) & thin & outside[:, ::-1]).any(axis=1)
    found: NDArray[np.bool_] = frame | line
    return found


def _belongs(parts: Parts, largest: int) -> NDArray[np.bool_]:
    """Tell which parts are of one character with the largest: the large ones, and the less small the farther away."""
    apart = np.maximum(parts.low - parts.high[largest], parts.low[largest] - parts.high).max(axis=1)
    distance = apart.clip(min=0) / parts.sides[largest].max()
    share = parts.areas / parts.areas[largest]
    enough: NDArray[np.bool_] = share >= np.where(distance < 0.6, 0.025, 0.15)
    return enough


def _abreast(parts: Parts, keep: NDArray[np.bool_]) -> bool:
    """Tell whether parts that are as tall as characters stand side by side with room between them, as in a word."""
    tallest = parts.sides[keep, 0].max()
    large = keep & (parts.sides[:, 0] >= 0.6 * tallest)
    order = np.argsort(parts.low[large, 1])
    left, right = parts.low[large, 1][order], np.maximum.accumulate(parts.high[large, 1][order])
    return bool((left[1:] - right[:-1] > APART * tallest).any())
