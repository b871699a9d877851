"""Ink on a sketch: glyphs warped into their places, and scribbles across them."""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handwriting.rendering.layout import SIDE, Row
from handwriting.rendering.style import Style

Floats = NDArray[np.float32]

PEN = 2.4
"""Width of stroke, in pixels of a glyph, that is written as it comes; EMNIST's median is 2.9."""
FADE = 0.43
"""Pixels of the sketch over which a scribble fades beyond its width."""

_LEVELS = np.log(np.maximum(np.arange(256), 1e-9) / 255).astype(np.float32)
"""Logarithms of the shares that grey levels are of full ink: powers of them come cheaper so."""


@dataclass(frozen=True)
class Waves:
    """A smooth displacement of the whole sketch: a sum of n plane waves.

    The ink at a point comes from the point + Σ ``heights`` · sin(``vectors`` · point + ``phases``) of the flat sketch:
    ``vectors`` (2, n) are radians a pixel, ``phases`` (n,) radians, ``heights`` (2, n) pixels.
    """

    vectors: Floats
    phases: Floats
    heights: Floats


def draw_waves(style: Style, rng: np.random.Generator) -> Waves:
    """Draw waves that run and displace in directions of their own."""
    run, sway, phases = rng.uniform(0, 2 * np.pi, (3, style.waves))
    speed = 2 * np.pi / rng.uniform(*style.wave_length, style.waves)
    height = rng.uniform(*style.wave_height, style.waves)
    return Waves(
        (speed * np.array([np.cos(run), np.sin(run)])).astype(np.float32),
        phases.astype(np.float32),
        (height * np.array([np.cos(sway), np.sin(sway)])).astype(np.float32),
    )


def write(glyphs: NDArray[np.uint8], row: Row, style: Style, rng: np.random.Generator) -> Floats:
    """Draw glyphs (k, 28, 28) in their places and scribble over them: a sketch (height, width), full of ink at 255."""
    waves = draw_waves(style, rng)
    sketch = _scribble(row, style, rng)
    inked = press(glyphs, rng.uniform(*style.weight, len(glyphs)))
    # All tiles are as large as the largest, so that one calculation warps them all.
    sway = np.abs(waves.heights).sum(axis=1)
    first, last = row.boxes[:, :2] - sway, row.boxes[:, 2:] + sway
    whole = (row.width, row.height)
    size = np.minimum(np.ceil((last - first).max(axis=0)) + 1, whole).astype(int)
    corners = np.clip(first, 0, whole - size).astype(int)
    tiles = _sample(inked, _origins(corners, size, row, waves))
    width, height = size.tolist()
    for (left, top), tile in zip(corners.tolist(), tiles, strict=True):
        place = sketch[top : top + height, left : left + width]
        np.maximum(place, tile, out=place)
    return sketch


def press(glyphs: NDArray[np.uint8], weights: NDArray[np.float64]) -> Floats:
    """Write glyphs (k, 28, 28) with one pen: lift thin and faint strokes, open the loops of bold ones.

    A stroke's width is twice the ink's area over the length of its outline, which the gradient sums up.
    """
    ink = glyphs * np.float32(1 / 255)
    down = ink[:, 1:, 1:] - ink[:, :-1, 1:]
    across = ink[:, 1:, 1:] - ink[:, 1:, :-1]
    outline = np.sqrt(down * down + across * across).sum(axis=(1, 2))
    width = 2 * ink.sum(axis=(1, 2)) / np.maximum(outline, 1)
    exponent = (np.clip(width / PEN, 0.5, 2) / weights).astype(np.float32)
    pressed: Floats = 255 * np.exp(exponent[:, None, None] * _LEVELS[glyphs])
    return pressed


def _origins(corners: NDArray[np.intp], size: NDArray[np.intp], row: Row, waves: Waves) -> Floats:
    """Return where in its glyph each pixel of k tiles comes from, as x and y: (2, k, height, width).

    The sine of a sum is a sum of products. So slant and waves come to a product of two matrices, one of what depends on
    a pixel's column and one of what depends on its row.
    """
    width, height = size
    x = (corners[:, :1] + np.arange(0.5, width))[:, None].astype(np.float32)
    y = (corners[:, 1:] + np.arange(0.5, height))[:, None].astype(np.float32)
    inverses = np.linalg.inv(row.matrices)
    parts = (inverses, inverses @ waves.heights, SIDE / 2 - inverses @ row.middles[:, :, None])
    slant, heights, start = (part.swapaxes(0, 1)[..., None].astype(np.float32) for part in parts)
    run = waves.vectors[0, :, None] * x + waves.phases[:, None]
    fall = waves.vectors[1, :, None] * y
    slanted = [slant[:, :, :1] * np.ones_like(y), slant[:, :, 1:] * y + start]
    by_row = np.concatenate([heights * np.cos(fall), heights * np.sin(fall), *slanted], axis=2)
    by_column = np.concatenate([np.sin(run), np.cos(run), x, np.ones_like(x)], axis=1)
    origins: Floats = by_row.swapaxes(2, 3) @ by_column
    return origins


def _sample(glyphs: Floats, origins: Floats) -> Floats:
    """Read glyphs (k, 28, 28) at ``origins`` (2, k, height, width), between their pixels; around them is no ink."""
    side = SIDE + 2
    framed = np.zeros((len(glyphs), side, side), np.float32)
    framed[:, 1:-1, 1:-1] = glyphs
    places = np.clip(origins + np.float32(0.5), 0, side - 1.001)
    whole = np.floor(places)
    x, y = places - whole
    at = whole[1] * side
    at += whole[0]
    at += np.arange(0, framed.size, side * side, dtype=np.float32)[:, None, None]
    at = at.astype(np.intp)
    ink = framed.ravel()
    upper: Floats = ink.take(at)
    lower: Floats = ink[side:].take(at)
    upper += x * (ink[1:].take(at) - upper)
    lower += x * (ink[side + 1 :].take(at) - lower)
    upper += y * (lower - upper)
    return upper


def _scribble(row: Row, style: Style, rng: np.random.Generator) -> Floats:
    """Draw a few long strokes from side to side, with soft edges."""
    sketch = np.zeros((row.height, row.width), np.float32)
    x = np.arange(row.width, dtype=np.float32) + 0.5
    y = np.arange(row.height, dtype=np.float32)[:, None] + 0.5
    for _ in range(rng.integers(style.scribbles[0], style.scribbles[1], endpoint=True)):
        start, end = row.height * rng.uniform(0.25, 0.75), row.height * rng.uniform(0.25, 0.75)
        speed, phase = 2 * math.pi / rng.uniform(90, 220), rng.uniform(0, 2 * math.pi)
        swing, width = row.height * rng.uniform(0.08, 0.2), rng.uniform(*style.scribble_width)
        climb, turn = (end - start) / row.width, speed * x + phase
        middle = start + climb * x + swing * np.sin(turn)
        # Measured up and down, the edge of a steep stroke is further away than it is across.
        steepness = climb + swing * speed * np.cos(turn)
        stroke = np.abs(y - middle)
        stroke *= -255 / np.sqrt(1 + steepness * steepness)
        stroke += 255 * (width / 2 + FADE)
        sketch = np.clip(stroke, sketch, 255)
    return sketch
