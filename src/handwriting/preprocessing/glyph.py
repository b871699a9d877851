"""Strokes → a glyph as EMNIST made its own."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageFilter, ImageOps

from handwriting.preprocessing.levels import Floats

SIDE = 28
MARGIN = 3
"""Pixels around the strokes at half their strength. EMNIST's is 2, outside of the blur in which they fade."""
BLUR = 2.5 / 128
"""Sigma as a share of the glyph's side. EMNIST's is 1 of 128, but of a scan of which the character is a part."""
EDGE = 2
"""Pixels of the glyph over which a stroke fades."""
FINE = 4
"""Pixels per pixel of the glyph while the strokes' width is corrected."""
THIN, THICK = 2.6, 4.0
"""Widths of stroke, in pixels of the glyph, between which pens are left as they are (EMNIST's median is 2.9)."""
_ANY = [0] + 255 * [255]
_STRONG = 110 * [0] + 146 * [255]


def close_up(darkness: Floats, strokes: NDArray[np.bool_]) -> Image.Image:
    """Crop to the strokes and their soft edges, at FINE pixels per pixel of the glyph."""
    rows, columns = np.flatnonzero(strokes.any(axis=1)), np.flatnonzero(strokes.any(axis=0))
    top, bottom, left, right = (int(edge) for edge in (rows[0], rows[-1] + 1, columns[0], columns[-1] + 1))
    unit = max(bottom - top, right - left) / (SIDE - 2 * MARGIN)
    room = int(np.ceil(EDGE * unit))
    box = (left, top, right + 2 * room, bottom + 2 * room)  # Seen from the corner of the padded layers.
    width, height = ((box[2] - left) / unit, (box[3] - top) / unit)
    size = (round(width * FINE), round(height * FINE))
    ink, around = (Image.fromarray(np.pad(255 * layer.astype(np.float32), room)) for layer in (darkness, strokes))
    ink = ink.resize(size, Image.Resampling.BICUBIC, box).convert("L")
    around = around.convert("L").filter(ImageFilter.MaxFilter(3))  # Else a line of one pixel may fall between two.
    around = around.resize((round(width), round(height)), Image.Resampling.BOX, box).point(_ANY)
    near = around.filter(ImageFilter.MaxFilter(2 * EDGE + 1)).resize(size, Image.Resampling.BILINEAR)
    return ImageOps.autocontrast(ImageChops.multiply(ink, near))


def even_pen(ink: Image.Image) -> Image.Image:
    """Thicken hair lines and thin blunt markers until the strokes are as wide as EMNIST's."""
    width = _stroke_width(np.asarray(ink, np.float32)) / FINE
    thicker, thinner = (max(steps, 0) * FINE / 2 for steps in (THIN - width, min(width - THICK, 0.6 * width)))
    ink = _filtered(ImageOps.expand(ink, int(np.ceil(thicker))), ImageFilter.MaxFilter(3), thicker)
    ink = _filtered(ink, ImageFilter.MinFilter(3), thinner)
    return ImageOps.autocontrast(ink, cutoff=(0, 2))  # A hair line must not stay grey for one dark crossing.


def _filtered(ink: Image.Image, step: ImageFilter.Filter, steps: float) -> Image.Image:
    """Filter so many times; part of a step is a blend, so that pens of nearly one width come out alike."""
    for number in range(int(np.ceil(steps))):
        ink = Image.blend(ink, ink.filter(step), min(1.0, steps - number))
    return ink


def _stroke_width(ink: Floats) -> float:
    """Return twice the ink's area over the length of its outline, which the gradient sums up."""
    padded = np.pad(ink, 1)
    down, across = np.diff(padded, axis=0)[:, 1:], np.diff(padded, axis=1)[1:]
    return float(2 * ink.sum() / np.hypot(down, across).sum())


def frame(ink: Image.Image) -> NDArray[np.uint8]:
    """Centre the ink in a square as EMNIST does, blur it and shrink it to the glyph."""
    left, top, right, bottom = ink.point(_STRONG).getbbox() or (0, 0, *ink.size)
    side = max(right - left, bottom - top) * SIDE / (SIDE - 2 * MARGIN)
    room = int(np.ceil(side))
    page = ImageOps.expand(ink, room).filter(ImageFilter.GaussianBlur(side * BLUR))
    corner = (room + (left + right - side) / 2, room + (top + bottom - side) / 2)
    return np.array(page.resize((SIDE, SIDE), Image.Resampling.BICUBIC, (*corner, corner[0] + side, corner[1] + side)))
