"""From a sketch to ink on paper: tones, texture and the encoded file."""

import colorsys
import math
from dataclasses import dataclass, field
from functools import lru_cache
from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from handwriting.rendering.style import Style

Floats = NDArray[np.float32]
Levels = NDArray[np.int16]

ENLARGEMENT = 2
"""Pixels of the picture per pixel of the sketch, each way."""
EDGE = (93, 157)
"""Levels of the enlarged sketch where ink begins and where it covers fully."""
FRAME = 2
"""Pixels around the sketch, without ink, that its enlargement looks at."""
BLOTCH = 15
"""Pixels of the sketch over which the paper drifts from one level to another."""

# Linux takes back what is free at the end of the heap, and gives it page by page to the next picture, where it is more
# than twice the largest block that was ever freed (mallopt(3), M_MMAP_THRESHOLD). So a large one is freed once.
bytes(2**21)


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


def develop(sketch: Floats, style: Style, rng: np.random.Generator) -> Picture:
    """Enlarge a sketch (height, width), full of ink at 255, and lay it on paper in tones drawn by chance."""
    coverage = _coverage(sketch)
    _, height, _, width = coverage.shape
    paper = _cloud(height, width, 255 - style.blotches, 255, rng)
    ink = _cloud(height, width, 0, 255 * style.fading, rng)
    tones = paper[:, None] - _grain(coverage.shape, style.grain, rng)
    coverage *= ink[:, None] - tones
    coverage >>= 7
    tones += coverage
    return encode(_joined(tones), _palette(rng))


def encode(tones: NDArray[np.uint8], palette: bytes) -> Picture:
    """Encode tones (height, width) in the colours of a palette."""
    height, width = tones.shape
    image = Image.frombuffer("P", (width, height), tones, "raw", "P", 0, 1)
    image.putpalette(palette)
    file = BytesIO()
    image.convert("RGB").save(file, "JPEG", quality=80)
    return Picture(file.getvalue(), "image/jpeg", width, height)


def _coverage(sketch: Floats) -> Levels:
    """Return how far ink covers the halves of a sketch's pixels, up to 128: (2, height, 2, width), with the frame.

    First come all left halves, then all right ones; each has the upper half of a row before the lower one. So
    arithmetic runs along all of them at once, and in small numbers: either makes it take half the time.
    """
    height, width = np.add(sketch.shape, 2 * FRAME)
    framed = np.full((height, width), -EDGE[0] // 2, np.int16)
    framed[FRAME:-FRAME, FRAME:-FRAME] = (sketch - EDGE[0]) / 2
    rows = np.stack(_halves(framed), axis=1)
    rows >>= 7
    coverage = np.zeros((2, *rows.shape), np.int16)
    # Each row follows on the one before; what is taken from beyond its ends ends up in the frame.
    coverage.reshape(2, -1)[:, FRAME:-FRAME] = _halves(rows.ravel())
    np.clip(coverage, 0, 64 * (EDGE[1] - EDGE[0]), out=coverage)
    coverage >>= 5
    return coverage


def _halves(line: Levels) -> tuple[Levels, Levels]:
    """Split pixels (n + 4, …) into first and second halves (n, …), 128 times as bright: Keys' cubic with a = -1/2."""
    far, near, own, off = (share * line for share in (-3, 29, 111, -9))
    first = own[2:-2] + near[1:-3]
    first += off[3:-1]
    first += far[:-4]
    second = own[2:-2] + near[3:-1]
    second += off[1:-3]
    second += far[4:]
    return first, second


def _joined(halves: Levels) -> NDArray[np.uint8]:
    """Put left and right halves (2, height, 2, width) beside each other, and cut off the frame."""
    _, height, _, width = halves.shape
    joined = np.empty((height, 2, width - 2 * FRAME, 2), np.uint8)
    joined[..., 0], joined[..., 1] = halves[:, :, :, FRAME:-FRAME].astype(np.uint8)
    return joined.reshape(2 * height, -1)


def _cloud(height: int, width: int, low: float, high: float, rng: np.random.Generator) -> Levels:
    """Draw levels (height, width) that drift smoothly between two."""
    down, across = _drift(height), _drift(width)
    knots = rng.uniform(low, high, (len(down), len(across))).astype(np.float32)
    levels: Levels = (down.T @ (knots @ across)).astype(np.int16)
    return levels


@lru_cache(64)
def _drift(size: int) -> Floats:
    """Return what each of n levels along a line counts at each of its pixels: (n, size)."""
    knots = BLOTCH * np.arange(size // BLOTCH + 2)[:, None]
    return np.maximum(0, 1 - np.abs(np.arange(0.5, size) - knots) / BLOTCH).astype(np.float32)


def _grain(shape: tuple[int, ...], levels: int, rng: np.random.Generator) -> Levels:
    """Draw by how much each pixel is darker than its paper: no picture's grain tells anything of another's."""
    count = math.prod(shape)
    bits = rng.integers(2**64, size=-(-count // 8), dtype=np.uint64)
    grain = bits.view(np.uint8)[:count].reshape(shape).astype(np.int16)
    grain *= levels + 1
    grain >>= 8
    return grain


def _palette(rng: np.random.Generator) -> bytes:
    """Draw tones for 256 levels, from a dark ink at 0 to a light paper at 255."""
    ink = np.array(colorsys.hls_to_rgb(rng.uniform(), rng.uniform(0.06, 0.18), rng.uniform(0.2, 0.9)))
    paper = np.array(colorsys.hls_to_rgb(rng.uniform(), rng.uniform(0.93, 0.98), rng.uniform(0.1, 0.6)))
    levels = np.arange(256)[:, None] / 255
    return bytes((255 * ink + 255 * (paper - ink) * levels).round().astype(np.uint8))
