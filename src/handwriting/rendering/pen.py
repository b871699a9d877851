"""Ink on a sketch: glyphs warped into their places, and scribbles across them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw

from handwriting.rendering.layout import SIDE, Row
from handwriting.rendering.style import Style

CELL = 14
"""Pixels between the nodes of the mesh that follows the waves."""
PEN = 2.4
"""Width of stroke, in pixels of a glyph, that is written as it comes; EMNIST's median is 2.9."""


@dataclass(frozen=True)
class Waves:
    """A smooth displacement of the whole sketch: a sum of n plane waves.

    ``vectors`` (n, 2) are radians a pixel, ``phases`` (n,) radians, ``heights`` (n, 2) pixels.
    """

    vectors: NDArray[np.float64]
    phases: NDArray[np.float64]
    heights: NDArray[np.float64]

    def shift(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return where on the flat sketch the ink at ``points`` (..., 2) comes from."""
        return points + np.sin(points @ self.vectors.T + self.phases) @ self.heights


def draw_waves(style: Style, rng: np.random.Generator) -> Waves:
    """Draw waves that run and displace in directions of their own."""
    run, sway, phases = rng.uniform(0, 2 * np.pi, (3, style.waves))
    speed = 2 * np.pi / rng.uniform(*style.wave_length, style.waves)
    height = rng.uniform(*style.wave_height, style.waves)
    return Waves(
        np.stack([speed * np.cos(run), speed * np.sin(run)], axis=1),
        phases,
        np.stack([height * np.cos(sway), height * np.sin(sway)], axis=1),
    )


def write(glyphs: NDArray[np.uint8], row: Row, style: Style, rng: np.random.Generator) -> Image.Image:
    """Draw glyphs (k, 28, 28) into their places and scribble over them: a grey sketch, bright ink on black."""
    waves = draw_waves(style, rng)
    sketch = _scribble(row, style, rng)
    inked = press(glyphs, rng.uniform(*style.weight, len(glyphs)))
    inverses = np.linalg.inv(row.matrices)
    sway = style.waves * style.wave_height[1]
    for glyph, inverse, middle, box in zip(inked, inverses, row.middles, row.boxes, strict=True):
        left, top = np.floor(box[:2] - sway).astype(int).tolist()
        columns, rows = np.ceil((box[2:] + sway - (left, top)) / CELL).astype(int).tolist()
        nodes = np.stack(np.meshgrid(np.arange(columns + 1), np.arange(rows + 1)), axis=-1) * CELL + (left, top)
        origin = (waves.shift(nodes) - middle) @ inverse.T + SIDE / 2
        tile = Image.fromarray(glyph).transform(
            (columns * CELL, rows * CELL), Image.Transform.MESH, _mesh(origin), Image.Resampling.BILINEAR
        )
        place = (left, top, left + tile.width, top + tile.height)
        sketch.paste(ImageChops.lighter(sketch.crop(place), tile), place)
    return sketch


def press(glyphs: NDArray[np.uint8], weights: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Write glyphs (k, 28, 28) with one pen: lift thin and faint strokes, open the loops of bold ones.

    A stroke's width is twice the ink's area over the length of its outline, which the gradient sums up.
    """
    ink = glyphs.astype(np.float32) / 255
    down, across = np.diff(ink, axis=1)[:, :, 1:], np.diff(ink, axis=2)[:, 1:]
    outline = np.sqrt(down * down + across * across).sum(axis=(1, 2))
    width = 2 * ink.sum(axis=(1, 2)) / np.maximum(outline, 1)
    exponent = np.clip(width / PEN, 0.5, 2) / weights
    pressed: NDArray[np.uint8] = (255 * ink ** exponent[:, None, None]).astype(np.uint8)
    return pressed


def _mesh(origin: NDArray[np.float64]) -> list[tuple[tuple[int, ...], tuple[float, ...]]]:
    """Turn the origins (rows + 1, columns + 1, 2) of a tile's nodes into Pillow's cells and quadrilaterals."""
    corners = (origin[:-1, :-1], origin[1:, :-1], origin[1:, 1:], origin[:-1, 1:])
    quads = np.concatenate(corners, axis=-1)
    return [
        ((x * CELL, y * CELL, (x + 1) * CELL, (y + 1) * CELL), tuple(quad))
        for y, line in enumerate(quads.tolist())
        for x, quad in enumerate(line)
    ]


def _scribble(row: Row, style: Style, rng: np.random.Generator) -> Image.Image:
    """Draw a few long strokes from side to side, finely, and shrink them so that their edges are soft."""
    fine = 3
    canvas = Image.new("L", (row.width * fine, row.height * fine))
    pen = ImageDraw.Draw(canvas)
    x = np.linspace(0, row.width, 40)
    for _ in range(rng.integers(style.scribbles[0], style.scribbles[1], endpoint=True)):
        start, end = rng.uniform(0.25, 0.75, 2) * row.height
        swing = rng.uniform(0.08, 0.2) * row.height * np.sin(x * 2 * np.pi / rng.uniform(90, 220) + rng.uniform(0, 6.3))
        y = np.linspace(start, end, len(x)) + swing
        width = round(rng.uniform(*style.scribble_width) * fine)
        pen.line((np.stack([x, y], axis=1) * fine).ravel().tolist(), fill=255, width=width)
    return canvas.reduce(fine)
