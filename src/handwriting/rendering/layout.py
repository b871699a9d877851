"""Where each glyph stands in the picture, how large and how slanted."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handwriting.rendering.style import Style

SIDE = 28
INK = 100
"""Grey level from which a pixel of a glyph counts as ink when its extent is measured."""

_row, _column = np.mgrid[:SIDE, :SIDE] + 0.5 - SIDE / 2
_PIXELS = np.stack([_column.ravel(), _row.ravel()]).astype(np.float32)
"""Centre of every pixel of a glyph, seen from the glyph's middle, as (x, y): shape (2, 784)."""


@dataclass(frozen=True)
class Row:
    """Glyphs in reading order on a sketch of ``width`` × ``height`` pixels.

    ``matrices`` (k, 2, 2) carry an offset from the middle of a glyph to the sketch, ``middles`` (k, 2) say where that
    middle falls, and ``boxes`` (k, 4) bound the ink as left, top, right, bottom.
    """

    width: int
    height: int
    matrices: NDArray[np.float64]
    middles: NDArray[np.float64]
    boxes: NDArray[np.float64]


def arrange(glyphs: NDArray[np.uint8], style: Style, rng: np.random.Generator) -> Row:
    """Set glyphs (k, 28, 28) in one row, each slanted, sized and shifted by chance."""
    count = len(glyphs)
    width = count * style.cell + 2 * style.margin
    matrices = _slant(count, style, rng)
    gaps = rng.uniform(*style.gap, count)
    low, high = _extents(glyphs, matrices)
    # A row fills its picture: narrow glyphs are spread and wide ones squeezed, as a hand does near the edge.
    room = width - 2 * style.margin - gaps[:-1].sum()
    fit = min(1.3, float(room / (high - low)[:, 0].sum()))
    matrices[:, 0] *= fit
    low[:, 0] *= fit
    high[:, 0] *= fit
    sizes = high - low
    steps = sizes[:, 0] + gaps
    left = np.concatenate([[0.0], np.cumsum(steps)[:-1]])
    spare = width - (left[-1] + sizes[-1, 0])
    left += spare / 2 + rng.uniform(-0.4, 0.4) * style.margin
    top = (style.height - sizes[:, 1]) / 2 + rng.uniform(-style.wander, style.wander, count)
    corners = np.stack([left, top], axis=1)
    return Row(width, style.height, matrices, corners - low, np.concatenate([corners, corners + sizes], axis=1))


def _slant(count: int, style: Style, rng: np.random.Generator) -> NDArray[np.float64]:
    """Draw ``count`` matrices (count, 2, 2) that zoom, stretch, shear and then turn."""
    angle = np.deg2rad(rng.uniform(*style.rotation, count))
    zoom = rng.uniform(*style.zoom, count)
    stretch = rng.uniform(*style.stretch, count)
    shear = rng.uniform(*style.shear, count)
    cosine, sine = np.cos(angle), np.sin(angle)
    turn = np.array([[cosine, -sine], [sine, cosine]])
    shape = np.array([[zoom * stretch, zoom * shear], [np.zeros(count), zoom / stretch]])
    matrices: NDArray[np.float64] = np.einsum("ijk,jlk->kil", turn, shape)
    return matrices


def _extents(
    glyphs: NDArray[np.uint8], matrices: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the lowest and highest (x, y) of each glyph's ink, seen from its middle: two arrays (k, 2)."""
    ink = glyphs.reshape(len(glyphs), 1, -1) >= INK
    ink |= ~ink.any(axis=2, keepdims=True)  # A blank glyph takes the room of a full one.
    places = matrices.astype(np.float32) @ _PIXELS
    away = np.where(ink, np.float32(0), np.float32(np.inf))
    reach = np.abs(matrices).sum(axis=2) / 2  # A pixel is a square, and its corners are ink too.
    return (places + away).min(axis=2) - reach, (places - away).max(axis=2) + reach
