"""What a machine makes of a captcha: its ink, cut into characters, named by a reader that is given."""

import numpy as np
from numpy.typing import NDArray

from handwriting.attacks.cutting import Reader, Reading, cut_at, read_row
from handwriting.attacks.ink import REDUCTION, lift, open_up
from handwriting.attacks.look_up import nearest

__all__ = ["Reader", "Reading", "nearest", "read", "read_at"]

Floats = NDArray[np.float32]


def cleanings(picture: bytes) -> list[Floats]:
    """Return the ink of a captcha's file in several guesses at what of it is clutter."""
    ink = lift(picture)
    return [ink, open_up(ink, 3), open_up(ink, 5)]


def read(picture: bytes, count: int, reader: Reader) -> Reading | None:
    """Read ``count`` characters of a captcha's file without knowing where they stand.

    Of several cleanings that one counts by which the reader is surest. None where it can't be cut into so many.
    """
    readings = [read_row(ink, count, reader) for ink in cleanings(picture)]
    return max((one for one in readings if one), key=lambda one: one.score, default=None)


def read_at(picture: bytes, boxes: NDArray[np.floating], reader: Reader) -> Reading:
    """Read the characters that stand in ``boxes`` (k, 4) of a captcha's file, in its pixels.

    Cuts may bend, but each piece lies around the middle of its box alone. Where that can't be, the boxes are cut out.
    """
    inks, places = cleanings(picture), (boxes / REDUCTION).astype(np.float32)
    cut = [read_row(ink, len(boxes), reader, places) for ink in inks]
    best = max((one for one in cut if one), key=lambda one: one.score, default=None)
    if best:
        return best
    glyphs = cut_at(inks[0], places)
    said = reader(glyphs)
    return Reading(said, float(np.log(said.max(axis=1)).sum()), glyphs)
