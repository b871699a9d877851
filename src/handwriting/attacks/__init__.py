"""What a machine makes of a captcha: its ink, cut into characters, named by a reader that is given."""

import numpy as np
from numpy.typing import NDArray

from handwriting.attacks.cutting import Reader, Reading, cut_at, read_row
from handwriting.attacks.ink import REDUCTION, lift, open_up
from handwriting.attacks.look_up import nearest

__all__ = ["Reader", "Reading", "nearest", "read", "read_at"]

Floats = NDArray[np.float32]


ROOM = tuple(np.array([-room, 0, room, 0], np.float32) for room in (-1, 1, 3))
"""By how much boxes are made wider, in pixels of the ink, since waves bend what stands in them."""


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
    """Read the characters that stand in ``boxes`` (k, 4) of a captcha's file, in its pixels."""
    inks = cleanings(picture)
    pieces = np.stack([cut_at(ink, (boxes / REDUCTION + room).astype(np.float32)) for ink in inks for room in ROOM])
    said = reader(pieces.reshape(-1, *pieces.shape[2:])).reshape(*pieces.shape[:2], -1)
    surest, each = said.max(axis=2).argmax(axis=0), np.arange(len(boxes))
    probabilities = said[surest, each]
    return Reading(probabilities, float(np.log(probabilities.max(axis=1)).sum()), pieces[surest, each])
