"""Any drawing or scan of one character → a glyph as EMNIST made its own.

EMNIST (Cohen et al. 2017, https://arxiv.org/abs/1702.05373, section II-A) blurs the 128×128 scan of a character, crops
it to its ink, centres it in a square with a margin of two pixels and shrinks it to 28×28 by bicubic interpolation. This
is ``glyph``. The steps before it are ours: from a file to grey levels (``files``), to the ink on whatever paper it
stands (``paper``), without the lines that were printed there (``rules``), to the strokes of one character
(``strokes``).
"""

from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from handwriting.preprocessing.boxes import rub_out_box
from handwriting.preprocessing.errors import PictureError
from handwriting.preprocessing.files import FORMATS, decode, to_grey
from handwriting.preprocessing.glyph import THICK, THIN, close_up, even_pen, frame
from handwriting.preprocessing.levels import LONGEST, reduced, resize
from handwriting.preprocessing.paper import find_ink, saturate
from handwriting.preprocessing.rules import rub_out_rules
from handwriting.preprocessing.strokes import SOLID, find_strokes, rub_out

__all__ = ["FORMATS", "LONGEST", "THICK", "THIN", "PictureError", "prepare", "read"]

_DECODING = Lock()


def read(picture: bytes | Path) -> NDArray[np.uint8]:
    """Read the character on a picture file: a glyph (28, 28), upright, bright on dark.

    Raises PictureError when it is no picture, or more than one, too large, or shows no character, and OSError when the
    path can't be read.
    """
    data = picture.read_bytes() if isinstance(picture, Path) else picture
    # One picture at a time, so that many large ones at once cost the memory of one.
    with _DECODING:
        image = decode(data)
    return prepare(to_grey(image))


def prepare(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Bring the character on a grey picture (height, width), dark on light or light on dark, to a glyph (28, 28).

    Raises PictureError when the array is no such picture or shows no character.
    """
    if grey.ndim != 2 or grey.dtype != np.uint8 or not grey.size:
        raise PictureError(f"A grey picture is a uint8 array of two dimensions, not {grey.dtype} {grey.shape}.")
    levels = resize(grey.astype(np.float32), reduced(grey.shape[1], grey.shape[0]))
    ink, noise = find_ink(levels)
    ink = rub_out_rules(ink)
    ink = rub_out_box(ink, saturate(ink, noise) >= SOLID)
    darkness = saturate(ink, noise)
    solid = darkness >= SOLID
    strokes = find_strokes(solid)
    rub_out(darkness, solid & ~strokes, strokes)
    return frame(even_pen(close_up(darkness, strokes)))
