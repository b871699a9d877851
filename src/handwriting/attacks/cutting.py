"""Cuts a row of characters into as many pieces as there are characters, by what a reader makes of the pieces."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Glyphs = NDArray[np.uint8]
Reader = Callable[[Glyphs], NDArray[np.floating]]
"""From glyphs (n, 28, 28) to the probability of each class (n, classes)."""

SIDE = 28
INNER = 23.0
"""Pixels of a glyph that its longer side fills; EMNIST leaves two at either end, in which the ink fades."""
STRIDE = 4
"""Pixels between places where a cut is tried."""
SWAY = 9
"""How far a cut may bend to either side to get around ink."""
NARROWEST, WIDEST = 5, 62
"""Pixels that a character may be wide."""
LEAST_INK = 6.0
"""Ink that a piece must hold, in pixels that are fully covered."""
CUT_TOLL = 0.25
"""What it costs to cut through a pixel of ink, in nats."""
DEEPEST = 9.0
"""Pixels of ink through which a cut is still worth trying."""
SLACK = 0.04
"""What ink costs that is left outside of all pieces, in nats a pixel."""
ODDS = 1e-3
"""The least probability that a reader's best guess counts for."""


@dataclass(frozen=True)
class Reading:
    """What a row of characters was read as.

    ``probabilities`` (k, classes) are from left to right, ``score`` is the logarithm of how credible all of it is, and
    ``glyphs`` (k, 28, 28) are the pieces.
    """

    probabilities: NDArray[np.floating]
    score: float
    glyphs: Glyphs


@dataclass(frozen=True)
class Pieces:
    """All pieces that could be a character: between which cuts (n,) they lie, as glyphs (n, 28, 28), and their toll."""

    starts: NDArray[np.intp]
    ends: NDArray[np.intp]
    glyphs: Glyphs


def read_row(ink: Floats, count: int, reader: Reader, boxes: Floats | None = None) -> Reading | None:
    """Read a row of ``count`` characters, cut where the reader is surest of all pieces together.

    ``ink`` (height, width) is 0 on paper and 1 on ink. Where it is told in which ``boxes`` (k, 4) the characters stand,
    each piece holds the middle of its own and of no other. None where there is no way to cut it so.
    """
    cuts, tolls = find_cuts(ink)
    pieces = cut_out(ink, cuts)
    if len(pieces.starts) < count:
        return None
    said = reader(pieces.glyphs)
    worth = np.log(np.maximum(said.max(axis=1), ODDS))
    if boxes is not None:
        worth = np.where(_around(pieces, cuts, (boxes[:, 0] + boxes[:, 2]) / 2), worth, -np.inf)
    chosen, score = choose(pieces, worth, tolls, _waste(ink, cuts), count)
    if not chosen:
        return None
    return Reading(said[chosen], score, pieces.glyphs[chosen])


def cut_at(ink: Floats, boxes: Floats) -> Glyphs:
    """Return the ink in each box (n, 4) as a glyph (n, 28, 28), framed anew by what ink there is."""
    height = len(ink)
    starts, ends = (np.repeat(side[:, None], height, axis=1) for side in boxes[:, [0, 2]].round().astype(int).T)
    starts, ends = np.clip(starts, 0, ink.shape[1]), np.clip(ends, 0, ink.shape[1])
    every = np.arange(len(boxes))
    found = _boxes(ink, np.concatenate([starts, ends]), every, every + len(boxes))
    blank = found[:, 2] <= found[:, 0]
    return frame(ink, np.where(blank[:, None], boxes, found), starts, ends)


def find_cuts(ink: Floats) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return cuts (m, height), a column for each row, that bend around ink, and what each costs in nats (m,).

    A cut is the cheapest way from top to bottom in a corridor around its place; the same cut is kept once.
    """
    height, width = ink.shape
    places = np.arange(0, width, STRIDE)
    offsets = np.arange(-SWAY, SWAY + 1)
    columns = np.clip(places[:, None] + offsets, 0, width - 1)
    straying = 0.004 * np.abs(offsets)
    cost = ink[0][columns] + straying
    came = np.zeros((height, *columns.shape), np.intp)
    padded = np.full((len(places), len(offsets) + 2), np.inf)
    index = np.arange(len(offsets))
    for row in range(1, height):
        padded[:, 1:-1] = cost
        ways = np.stack([padded[:, :-2] + 0.03, padded[:, 1:-1], padded[:, 2:] + 0.03])
        best = ways.argmin(axis=0)
        came[row] = index + best - 1
        cost = np.take_along_axis(ways, best[None], axis=0)[0] + ink[row][columns] + straying
    at = cost.argmin(axis=1)
    every = np.arange(len(places))
    paths = np.empty((len(places), height), np.intp)
    for row in range(height - 1, -1, -1):
        paths[:, row] = columns[every, at]
        at = came[row, every, at]
    paths[0], paths[-1] = 0, width  # The first and the last hold everything between them.
    through = np.take_along_axis(ink, np.minimum(paths, width - 1).T, axis=1).sum(axis=0)
    through[[0, -1]] = 0
    order = np.lexsort((through, paths.mean(axis=1)))
    paths, through = paths[order], through[order]
    fresh = np.concatenate([[True], np.abs(np.diff(paths, axis=0)).max(axis=1) > 1])
    tried = fresh & (through <= DEEPEST)
    return paths[tried], CUT_TOLL * through[tried].astype(np.float64)


def cut_out(ink: Floats, cuts: NDArray[np.intp]) -> Pieces:
    """Return every piece between two cuts that is neither too wide nor too narrow nor empty, as glyphs."""
    middles = cuts.mean(axis=1)
    return between(ink, cuts, *np.nonzero(np.triu(middles[None] - middles[:, None] >= NARROWEST, 1)))


def between(ink: Floats, cuts: NDArray[np.intp], starts: NDArray[np.intp], ends: NDArray[np.intp]) -> Pieces:
    """Return the pieces between these cuts (n,) that are neither too wide nor empty, as glyphs."""
    height, _ = ink.shape
    # Ink to the left of each cut, row by row, from which a piece's ink is a difference.
    rows = np.arange(height)
    before = np.concatenate([np.zeros((height, 1), np.float32), ink.cumsum(axis=1)], axis=1)
    left_of = before[rows, cuts]
    by_row = left_of[ends] - left_of[starts]
    enough = by_row.sum(axis=1) >= LEAST_INK
    starts, ends, by_row = starts[enough], ends[enough], by_row[enough]
    boxes = _boxes(ink, cuts, starts, ends)
    fits = (boxes[:, 2] - boxes[:, 0] >= 2) & (boxes[:, 2] - boxes[:, 0] <= WIDEST)
    starts, ends, boxes = starts[fits], ends[fits], boxes[fits]
    return Pieces(starts, ends, frame(ink, boxes, cuts[starts], cuts[ends]))


def _boxes(ink: Floats, cuts: NDArray[np.intp], starts: NDArray[np.intp], ends: NDArray[np.intp]) -> Floats:
    """Return the box (left, top, right, bottom) of the ink of each piece (n, 4)."""
    height, width = ink.shape
    solid = ink > 0.4
    columns = np.arange(width + 1)
    rows = np.arange(height)
    # For each cut and row, the next inked column from it on, and the last one before it.
    following = np.full((height, width + 1), width + 1)
    previous = np.full((height, width + 1), -1)
    following[:, :width] = np.where(solid, columns[:width], width + 1)
    following = np.minimum.accumulate(following[:, ::-1], axis=1)[:, ::-1]
    previous[:, 1:] = np.maximum.accumulate(np.where(solid, columns[:width], -1), axis=1)
    first, last = following[rows, cuts][starts], previous[rows, cuts][ends]
    there = first <= last
    left = np.where(there, first, width).min(axis=1)
    right = np.where(there, last, -1).max(axis=1) + 1
    top = np.where(there, rows, height).min(axis=1)
    bottom = np.where(there, rows, -1).max(axis=1) + 1
    return np.stack([left, top, right, bottom], axis=1).astype(np.float32)


def frame(
    ink: Floats, boxes: Floats, starts: NDArray[np.intp] | None = None, ends: NDArray[np.intp] | None = None
) -> Glyphs:
    """Bring the ink in each box (n, 4) to a glyph (n, 28, 28), as EMNIST does: its longer side fills ``INNER`` pixels.

    Where there are cuts (n, height) to the left and right, only the ink between them counts.
    """
    left, top, right, bottom = boxes.T
    side = np.maximum(right - left, bottom - top) * SIDE / INNER
    grid = (np.arange(SIDE) + 0.5) / SIDE - 0.5
    x = (left + right)[:, None] / 2 + side[:, None] * grid - 0.5
    y = (top + bottom)[:, None] / 2 + side[:, None] * grid - 0.5
    glyphs = np.zeros((len(boxes), SIDE, SIDE), np.float32)
    height, width = ink.shape
    for down in (0, 1):
        for across in (0, 1):
            column, row = np.floor(x).astype(int) + across, np.floor(y).astype(int) + down
            part_x = 1 - np.abs(x - column)
            part_y = 1 - np.abs(y - row)
            inside = (column >= 0) & (column < width)
            there = (row >= 0) & (row < height)
            rows, columns = np.clip(row, 0, height - 1), np.clip(column, 0, width - 1)
            share = (part_y * there)[:, :, None] * (part_x * inside)[:, None, :]
            if starts is not None and ends is not None:
                begin = np.take_along_axis(starts, rows, axis=1)[:, :, None]
                end = np.take_along_axis(ends, rows, axis=1)[:, :, None]
                share = share * ((columns[:, None] >= begin) & (columns[:, None] < end))
            glyphs += share * ink[rows[:, :, None], columns[:, None, :]]
    framed: Glyphs = (255 * np.clip(glyphs, 0, 1)).astype(np.uint8)
    return framed


def _around(pieces: Pieces, cuts: NDArray[np.intp], middles: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Tell which pieces lie around each of these middles (k,), and around no other: (k, n)."""
    columns = cuts.mean(axis=1)
    holds = (columns[pieces.starts] < middles[:, None]) & (middles[:, None] < columns[pieces.ends])
    alone: NDArray[np.bool_] = holds & (holds.sum(axis=0) == 1)
    return alone


def _waste(ink: Floats, cuts: NDArray[np.intp]) -> NDArray[np.float64]:
    """Return what it costs to leave out all ink to the left of each cut, and to the right of it: (2, m)."""
    columns = np.arange(ink.shape[1])
    left = np.array([(ink * (columns < cut[:, None])).sum() for cut in cuts])
    waste: NDArray[np.float64] = SLACK * np.stack([left, ink.sum() - left])
    return waste


def choose(
    pieces: Pieces,
    worth: NDArray[np.floating],
    tolls: NDArray[np.float64],
    waste: NDArray[np.float64],
    count: int,
) -> tuple[list[int], float]:
    """Return which pieces, ``count`` of them side by side, are worth most together, less the tolls of their cuts.

    ``worth`` is of each piece (n,), or of each in each place (count, n). Ink before the first and after the last is
    wasted, at the cost that ``waste`` (2, m) says.
    """
    cuts = len(tolls)
    best = np.full((count + 1, cuts), -np.inf)
    best[0] = -waste[0]
    came = np.full((count + 1, cuts), -1, np.intp)
    prices = np.broadcast_to(worth - tolls[pieces.ends], (count, len(pieces.ends)))
    order = np.argsort(pieces.ends, kind="stable")
    firsts = np.searchsorted(pieces.ends[order], np.arange(cuts + 1))
    for used in range(1, count + 1):
        reached = (best[used - 1, pieces.starts] + prices[used - 1])[order]
        for end in range(cuts):
            if firsts[end] < firsts[end + 1]:
                at = firsts[end] + int(reached[firsts[end] : firsts[end + 1]].argmax())
                best[used, end], came[used, end] = reached[at], order[at]
    last = int((best[count] - waste[1]).argmax())
    score = float(best[count, last] - waste[1, last])
    if not np.isfinite(score):
        return [], score
    chosen: list[int] = []
    for used in range(count, 0, -1):
        chosen.append(int(came[used, last]))
        last = int(pieces.starts[chosen[-1]])
    return chosen[::-1], score
