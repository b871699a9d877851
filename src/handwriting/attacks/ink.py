"""From a captcha's file to its ink, and the ink without the strokes that cross it."""

from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

Floats = NDArray[np.float32]

REDUCTION = 2
"""Pixels of the picture per pixel of the ink: captchas are enlarged by so much when they are made."""
COARSE = 4
"""Pixels of the ink per pixel of the paper's levels, which drift slowly."""
PAPER = 7
"""Coarse pixels around each from which the paper's level is taken; wider than any stroke."""
SPECKS = 60
"""Grey levels at least between ink and paper, over which noise is not taken for ink."""


def lift(picture: bytes) -> Floats:
    """Return the ink (height, width) of a captcha's file, 0 where there is paper and 1 where ink covers it fully."""
    grey = Image.open(BytesIO(picture)).convert("L").reduce(REDUCTION)
    paper = grey.reduce(COARSE).filter(ImageFilter.MaxFilter(PAPER)).resize(grey.size, Image.Resampling.BILINEAR)
    depth = np.asarray(paper, np.float32) - np.asarray(grey, np.float32)
    paleness = np.percentile(depth, 40)  # Most of a picture is paper.
    dark = max(float(np.percentile(depth, 97)), float(paleness) + SPECKS)
    ink: Floats = np.clip((depth - paleness) / (dark - paleness) * 1.4 - 0.25, 0, 1).astype(np.float32)
    return ink


def open_up(ink: Floats, width: int) -> Floats:
    """Wipe away what is thinner than ``width`` pixels, and leave the rest in its shape (an opening)."""
    image = Image.fromarray((255 * ink).astype(np.uint8)).resize((2 * ink.shape[1], 2 * ink.shape[0]))
    core = image.filter(ImageFilter.MinFilter(width)).filter(ImageFilter.MaxFilter(width + 2))
    kept = np.asarray(core.resize((ink.shape[1], ink.shape[0])), np.float32) / 255
    return np.minimum(ink, kept)
