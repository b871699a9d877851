"""Characters without a pen: how far each point of the page is from the ink, so that any pen can draw them at any size.

From glyphs, enlarged and thinned to the path of their pen; and from polylines as a finger leaves them on a canvas, of
47 characters written down below, which come from no data set.
"""

import sys
from dataclasses import dataclass
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw
from scipy import ndimage

Floats = NDArray[np.float32]

SIDE = 28
FINE = 8
"""Points of a field per pixel of a glyph."""
SAG = 0.15
"""By what smoothing lifts the bottom of a valley: a hair line would vanish."""
FINGER = 3.0
"""Width of a finger's stroke, in 28ths of the side of what it wrote."""

STROKES = """
0 ~50 22 16 2a 5c 8a 96 82 50
1 40 4c
2 ~12 30 60 72 65 1c|1c 8c
3 ~11 40 71 73 45|~45 76 79 4c 0b
4 60 08 98|60 6c
5 80 20 15|~15 55 77 79 4c 0b
6 ~70 32 08 2c 6c 89 66 27 09
7 00 80 3c
8 ~72 40 12 45 79 4c 19 45 72
9 ~72 30 13 46 73 71|71 7c
A 0c 40 8c|27 67
B 10 1c|~10 60 62 56 15|~16 66 89 6c 1c
C ~82 50 11 06 1b 5c 8a
D 10 1c|~10 60 96 6c 1c
E 80 10 1c 8c|16 66
F 80 10 1c|16 66
G ~82 50 11 06 1b 5c 8a|8a 87 57
H 10 1c|80 8c|16 86
I 40 4c|10 70|1c 7c
J 20 90|~60 69 4c 1b
K 10 1c|80 16 8c
L 10 1c 8c
M 0c 10 57 90 ac
N 1c 10 8c 80
O ~50 12 06 1a 5c 9a a6 92 50
P 10 1c|~10 60 73 66 16
Q ~50 12 06 1a 5c 9a a6 92 50|69 ac
R 10 1c|~10 60 73 66 16|46 8c
S ~82 50 12 46 79 5c 0b
T 00 80|40 4c
U ~10 18 4c 88 80
V 00 4c 80
W 00 2c 52 7c a0
X 00 8c|80 0c
Y 00 46 80|46 4c
Z 00 80 0c 8c
a ~74 43 15 18 4a 78|73 7a
b 10 1c|~16 44 76 7a 4c 1a
d 70 7c|~76 44 16 1a 4c 7a
e 16 76|~76 63 33 16 2a 5a 79
f ~81 50 43 4c|15 75
g ~74 42 14 17 48 75|~73 79 5c 1b
h 10 1c|~17 45 67 6c
n 13 1c|~17 44 67 6c
q ~74 42 14 17 48 75|73 7d
r 13 1c|~17 34 64
t ~40 49 5c 7b|13 73
i 43 4c|40 41
j ~63 69 4c 1b|60 61
k 10 1c|64 18 6c
m 13 1c|~17 34 57 5c|~57 74 97 9c
"""
"""Each line a character and its strokes; a point is its column and row in hexadecimal digits, ~ rounds the corners."""


@dataclass(frozen=True)
class Character:
    """Distances ``(n, n)`` over the character's square, in 28ths of its side.

    ``outline`` is from the edge of the ink as it was, below 0 inside; ``path`` from the middle of the strokes.
    """

    truth: str
    outline: Floats
    path: Floats


def from_glyph(glyph: NDArray[np.uint8], truth: str) -> Character:
    """Enlarge a glyph (28, 28) smoothly, and thin it to its path."""
    side = SIDE * FINE
    large = np.asarray(Image.fromarray(glyph).resize((side, side), Image.Resampling.BICUBIC), np.float32)
    ink = ndimage.gaussian_filter(large, FINE / 3) > 110
    inside, outside = ndimage.distance_transform_edt(ink), ndimage.distance_transform_edt(~ink)
    halved = ndimage.zoom(ink, 0.5, order=0)
    path = ndimage.zoom(ndimage.distance_transform_edt(~thin(halved)), 2, order=1) * 2
    return Character(truth, _smooth(outside - inside), _smooth(path) - np.float32(SAG))


def from_finger(rng: np.random.Generator) -> list[Character]:
    """Write every character once, as a finger does: few points, a tremble, a slant and a shape of its own."""
    lines = (line.split(" ", 1) for line in STROKES.strip().splitlines())
    return [_write(truth, strokes, rng) for truth, strokes in lines]


def _smooth(distance: NDArray[np.floating]) -> Floats:
    smoothed: Floats = (ndimage.gaussian_filter(distance.astype(np.float32), FINE / 6) / FINE).astype(np.float32)
    return smoothed


def _make_starter() -> ModuleType:
    """Return script/make-starter, which has no suffix, as a module."""
    loader = SourceFileLoader("make_starter", str(Path(__file__).parents[1] / "script/make-starter"))
    module = ModuleType(loader.name)
    module.__file__ = loader.path
    sys.modules[loader.name] = module  # Its dataclass looks itself up there.
    loader.exec_module(module)
    return module


thin = _make_starter().thin


def _write(truth: str, strokes: str, rng: np.random.Generator) -> Character:
    slant, turn, wide = rng.normal(0, 0.12), rng.normal(0, 0.06), np.exp(rng.normal(0, 0.12))
    shape = np.array([[wide, -slant], [turn, 1]])
    lines = [_canvas_curve(_points(stroke, rng) @ shape.T) for stroke in strokes.split("|")]
    together = np.concatenate(lines)
    low, high = together.min(axis=0), together.max(axis=0)
    scale = (SIDE - 7) / max(*(high - low), 4.0)
    lines = [(line - (low + high) / 2) * scale + SIDE / 2 for line in lines]
    page = Image.new("L", (SIDE * FINE, SIDE * FINE))
    pencil = ImageDraw.Draw(page)
    for line in lines:
        pencil.line([(x * FINE, y * FINE) for x, y in line], fill=255)
    path = _smooth(ndimage.distance_transform_edt(np.asarray(page) == 0)) - np.float32(SAG)
    return Character(truth, path - np.float32(FINGER / 2), path)


def _points(stroke: str, rng: np.random.Generator) -> NDArray[np.float64]:
    """Return the few points (n, 2) that a touch screen reports of a stroke."""
    corners = np.array([[int(digit, 16) for digit in point] for point in stroke.lstrip("~").split()], np.float64)
    corners += rng.normal(0, 0.45, corners.shape)
    if stroke.startswith("~"):
        for _ in range(2):  # Chaikin 1974: each corner is cut twice.
            cut = np.stack([0.75 * corners[:-1] + 0.25 * corners[1:], 0.25 * corners[:-1] + 0.75 * corners[1:]], axis=1)
            corners = np.concatenate([corners[:1], cut.reshape(-1, 2), corners[-1:]])
    lengths = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(corners, axis=0).T))])
    places = np.union1d(np.arange(0, lengths[-1], 1.6), lengths[:: 1 if "~" not in stroke else len(lengths) - 1])
    found = np.stack([np.interp(places, lengths, axis) for axis in corners.T], axis=1)
    return found + rng.normal(0, 0.12, found.shape)


def _canvas_curve(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Draw curves from middle to middle of the points, as the canvas page does: (m, 2)."""
    share = np.linspace(0, 1, 5)[:, None]
    start, pieces = points[0], []
    for index, point in enumerate(points):
        end = (point + points[min(index + 1, len(points) - 1)]) / 2
        pieces.append((1 - share) ** 2 * start + 2 * share * (1 - share) * point + share**2 * end)
        start = end
    return np.concatenate(pieces)
