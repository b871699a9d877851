"""Captchas: glyphs in, one picture of handwriting out."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from handwriting.rendering.layout import SIDE, arrange
from handwriting.rendering.paper import ENLARGEMENT, Picture, develop
from handwriting.rendering.pen import write
from handwriting.rendering.style import DEFAULT, STYLES, Style

__all__ = ["STYLES", "Picture", "Style", "render"]


def render(glyphs: NDArray[np.uint8], rng: np.random.Generator, style: Style = DEFAULT) -> Picture:
    """Write glyphs (k, 28, 28), bright on dark, from left to right into one picture.

    Every glyph takes the same path, whatever is known about it, and none of its pixels survives as it was. The same
    ``rng`` state gives the same bytes. Raises ValueError when ``glyphs`` is not such an array or holds none.
    """
    if glyphs.dtype != np.uint8 or glyphs.ndim != 3 or glyphs.shape[1:] != (SIDE, SIDE) or not len(glyphs):
        raise ValueError(
            f"glyphs must be uint8 of shape (k, {SIDE}, {SIDE}) with k > 0, not {glyphs.dtype} {glyphs.shape}"
        )
    row = arrange(glyphs, style, rng)
    picture = develop(write(glyphs, row, style, rng), style, rng)
    return replace(picture, boxes=row.boxes * ENLARGEMENT)
