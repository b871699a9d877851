"""Grey levels → how much of each pixel is ink, on whatever paper it stands and whichever of the two is the darker."""

import numpy as np

from handwriting.preprocessing.errors import BLANK, PictureError
from handwriting.preprocessing.levels import Floats, enlarge, highest, lowest, middle, resize

FAINTEST = 14.0
"""Grey levels by which ink must differ from paper."""
COARSE = 32
"""Cells along each side of a picture in which light and shadow are looked for."""
MOST_GAIN = 2.5
"""How many times darker ink is made where there is less light."""
DEEPEST = 0.6
"""Depth of a shadow, as a share of the ink's darkness, beyond which it is ink itself: a blunt marker, a blot."""


def find_ink(grey: Floats) -> tuple[Floats, float]:
    """Return by how many grey levels each pixel stands out from the paper, and by how many the paper itself does."""
    paper = _paper(grey)
    difference: Floats = grey - paper
    coarse = resize(difference, (min(grey.shape[1], COARSE), min(grey.shape[0], COARSE)))
    local = coarse - middle(coarse, COARSE // 3 | 1)
    below, above = float((local.clip(max=0) ** 2).sum()), float((local.clip(min=0) ** 2).sum())
    ink = np.abs(difference)
    if below > above:
        shadow = _shadow(-coarse, -difference)
        ink = (-difference - shadow) * _gain(paper - shadow)
    elif above > below:
        ink = difference - _shadow(coarse, difference)
    return ink.astype(np.float32), 1.4826 * float(np.median(np.abs(ink)))


def _gain(paper: Floats) -> Floats:
    """Return by what dark ink is too pale where there is less light: light multiplies."""
    brightest = max(float(paper.max()), 1.0)
    gain: Floats = (brightest / paper.clip(brightest / MOST_GAIN)).astype(np.float32)
    return gain


def _shadow(coarse: Floats, ink: Floats) -> Floats:
    """Return by how much the light differs from what a smooth surface can follow: what is wider than any pen."""
    width = COARSE * 2 // 5 | 1
    shadow = highest(lowest(coarse, width), width)
    shadow[shadow > DEEPEST * float(np.percentile(ink, 99))] = 0
    # A cell wider, or its edge would look like a line.
    return enlarge(highest(shadow, 3), ink.shape)


def saturate(ink: Floats, noise: float) -> Floats:
    """Return how much of each pixel is ink: 0 on the paper, 1 in a stroke.

    Raises PictureError when nothing stands out from the paper.
    """
    floor = max(FAINTEST / 2, 4 * min(noise, 12.0))
    inked = ink[ink > floor]
    full = float(np.percentile(inked, 80)) if inked.size else 0.0
    if full < max(FAINTEST, floor * 1.25):
        raise PictureError(BLANK)
    darkness: Floats = ((ink - floor) / (full - floor)).clip(0, 1).astype(np.float32)
    return darkness


def _paper(grey: Floats) -> Floats:
    """Estimate the paper under the ink: a quadratic surface through the pixels that are not ink, by trimming."""
    height, width = grey.shape
    small = resize(grey, (min(width, 48), min(height, 48)))
    y, x = (axis.ravel() for axis in np.meshgrid(*map(_axis, small.shape), indexing="ij"))
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)
    levels = small.ravel()
    surface = np.full_like(levels, np.median(levels))
    coefficients = np.zeros(6)
    for degree in (3, 3, 3, 6, 6, 6):  # A plane first: a curved surface could follow the strokes themselves.
        away = np.abs(levels - surface)
        near = away <= max(4.0, 3 * float(np.median(away)))
        some = terms[near, :degree].astype(np.float64)
        ridge = 1e-6 * len(some) * np.eye(degree)  # Keeps a picture of one row or column solvable.
        coefficients[:degree] = np.linalg.solve(some.T @ some + ridge, some.T @ levels[near])
        surface = (terms @ coefficients).astype(np.float32)
    level, right, down, bend, twist, sag = coefficients.astype(np.float32)
    x, y = _axis(width), _axis(height)[:, None]
    paper: Floats = (level + right * x + bend * x * x) + (down * y + sag * y * y) + twist * x * y
    return paper


def _axis(length: int) -> Floats:
    """Return the middles of ``length`` pixels that together span -1 to 1."""
    return ((2 * np.arange(length) + 1) / length - 1).astype(np.float32)
