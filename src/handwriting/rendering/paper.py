"""From a sketch to ink on paper: tones, texture and the encoded file."""

import colorsys
from dataclasses import dataclass, field
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops

from handwriting.rendering.style import Style

EDGE = (80, 170)
"""Grey levels of the enlarged sketch where ink begins and where it covers fully."""

_ramp = np.clip((np.arange(256) - EDGE[0]) / (EDGE[1] - EDGE[0]), 0, 1)
_COVERAGE = (255 * _ramp**2 * (3 - 2 * _ramp)).round().astype(int).tolist()


@dataclass(frozen=True)
class Picture:
    """An encoded picture; ``width`` and ``height`` are its pixels.

    ``boxes`` (k, 4) say where each glyph stands, before waves bend it: left, top, right, bottom. They are for measuring
    and never leave the house.
    """

    data: bytes
    media_type: str
    width: int
    height: int
    boxes: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 4)), compare=False)


def develop(sketch: Image.Image, style: Style, rng: np.random.Generator) -> Picture:
    """Enlarge a sketch, bright ink on black, and lay it on paper in tones drawn by chance."""
    size = (sketch.width * style.enlargement, sketch.height * style.enlargement)
    coverage = sketch.resize(size, Image.Resampling.BICUBIC).point(_COVERAGE)
    paper = ImageChops.subtract(_cloud(size, 255 - style.blotches, 255, rng), _grain(size, style.grain, rng))
    ink = _cloud(size, 0, int(255 * style.fading), rng)
    tones = Image.composite(ink, paper, coverage)
    tones.putpalette(_palette(rng))
    return encode(tones)


def encode(tones: Image.Image) -> Picture:
    """Encode a picture with a palette."""
    file = BytesIO()
    tones.convert("RGB").save(file, "JPEG", quality=80)
    return Picture(file.getvalue(), "image/jpeg", tones.width, tones.height)


def _cloud(size: tuple[int, int], low: int, high: int, rng: np.random.Generator) -> Image.Image:
    """Draw a grey picture that drifts smoothly between two levels."""
    knots = rng.integers(low, high, (size[1] // 30 + 2, size[0] // 30 + 2), dtype=np.uint8, endpoint=True)
    return Image.fromarray(knots).resize(size, Image.Resampling.BILINEAR)


def _grain(size: tuple[int, int], levels: int, rng: np.random.Generator) -> Image.Image:
    return Image.fromarray(rng.integers(0, levels, (size[1], size[0]), dtype=np.uint8, endpoint=True))


def _palette(rng: np.random.Generator) -> list[int]:
    """Draw tones for 256 levels, from a dark ink at 0 to a light paper at 255."""
    ink = np.array(colorsys.hls_to_rgb(rng.uniform(), rng.uniform(0.06, 0.18), rng.uniform(0.2, 0.9)))
    paper = np.array(colorsys.hls_to_rgb(rng.uniform(), rng.uniform(0.93, 0.98), rng.uniform(0.1, 0.6)))
    tones: list[int] = np.linspace(255 * ink, 255 * paper, 256).round().astype(int).ravel().tolist()
    return tones
