"""Lines that were printed on the paper, from edge to edge, under and through what was written."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from handwriting.preprocessing.levels import Floats, highest, lowest

SMALLEST = 64
"""Pixels that a picture's shorter side has at least: in a smaller one a line can't be told from a stroke."""
STRIPS = 16
"""Strips into which a picture is cut; a line has to show in each."""
FAINTEST = 5.0
"""Grey levels by which a line stands out, averaged along a strip."""
STEEPEST = 0.1
"""Slope of a line, either way: not quite six degrees."""
ASTRAY = 3
"""Pixels by which a line may bend."""
THICKEST = 0.02
"""Thickness of a line as a share of the picture."""


@dataclass(frozen=True)
class Rule:
    """A line: its row in each column (w,), half its thickness, and how much it stands out."""

    rows: NDArray[np.intp]
    half: int
    level: float


def rub_out_rules(ink: Floats) -> Floats:
    """Return ``ink`` (height, width) without the lines of lined or squared paper, strokes across them mended."""
    if min(ink.shape) < SMALLEST:
        return ink
    clean = ink.copy()
    for page in (clean, clean.T):  # Lines across, then lines down.
        for rule in find_rules(page):
            rub_out_rule(page, rule)
    return clean if clean.max() > ink.max() / 2 else ink  # Lines alone are what was drawn.


def find_rules(ink: Floats, missing: int = 0) -> list[Rule]:
    """Find the lines from the left edge to the right. A lone one counts only where strokes are darker than it.

    In so many of the strips a line may be ``missing``, where what was written runs over it.
    """
    height, width = ink.shape
    reach = round(THICKEST * height) + 2
    edges = np.linspace(0, width, STRIPS + 1).astype(int)
    strips: Floats = (np.add.reduceat(ink, edges[:-1], axis=1) / np.diff(edges)).astype(np.float32)
    # What is thin from top to bottom stands out; strokes that run down, and shadows, do not.
    peaks: Floats = strips - highest(lowest(strips, 2 * reach + 1, 1), 2 * reach + 1, 1)
    if np.sort(peaks.max(axis=0))[missing] < FAINTEST:
        return []
    middles = (edges[:-1] + edges[1:]) / 2
    shifts = _slope(peaks, middles - width / 2, missing)
    level = _faintest(highest(peaks, 3, 1), shifts, missing)
    traced = [_trace(peaks, row + shifts, middles, width, reach) for row in _summits(level, reach)]
    rules = [rule for rule in traced if rule is not None]
    if len(rules) == 1 and rules[0].level > 0.6 * float(np.percentile(ink, 99.5)):
        return []
    return rules


def _slope(peaks: Floats, middles: NDArray[np.float64], missing: int) -> NDArray[np.intp]:
    """Return by how many rows each strip lies lower than the middle, for the slope that shows most lines."""
    wide = highest(peaks, 3, 1)
    best, found = 0.0, np.zeros(STRIPS, np.intp)
    for slope in sorted(np.arange(-STEEPEST, STEEPEST + 0.001, 0.01), key=abs):
        shifts = np.round(slope * middles).astype(np.intp)
        score = float((_faintest(wide, shifts, missing) - FAINTEST).clip(min=0).sum())
        if score > best:
            best, found = score, shifts
    return found


def _faintest(peaks: Floats, shifts: NDArray[np.intp], missing: int) -> Floats:
    """Return the least level that each row has in any strip but the ``missing``, each strip moved up by its shift."""
    rows = (np.arange(len(peaks))[:, None] + shifts) % len(peaks)
    least: Floats = np.partition(peaks[rows, np.arange(STRIPS)], missing, axis=1)[:, missing]
    return least


def _summits(level: Floats, reach: int) -> list[int]:
    """Return the rows at which lines stand, none so near the edge that a stroke of a tight crop could be there."""
    around = highest(level[:, None], 2 * reach + 1, 1)[:, 0]
    rows = np.flatnonzero((level >= FAINTEST) & (level == around))
    apart = np.diff(rows, prepend=-len(level)) > reach
    return [int(row) for row in rows[apart] if 2 * reach <= row < len(level) - 2 * reach]


def _trace(peaks: Floats, rows: NDArray[np.intp], middles: NDArray[np.float64], width: int, reach: int) -> Rule | None:
    """Follow a line from strip to strip; None where it turns out to be too thick for one."""
    astray = _around(peaks, rows, ASTRAY).argmax(axis=1) - ASTRAY
    neighbours = np.lib.stride_tricks.sliding_window_view(np.pad(astray, 1, mode="edge"), 3)
    rows = rows + np.median(neighbours, axis=1).astype(np.intp)
    profile = np.median(_around(peaks, rows, reach), axis=0)
    thick = int((profile > 0.25 * profile.max()).sum())
    if thick > reach:
        return None
    traced = np.interp(np.arange(width), middles, rows)
    return Rule(np.round(traced).astype(np.intp), thick // 2 + 1, float(profile.max()))


def _around(peaks: Floats, rows: NDArray[np.intp], reach: int) -> Floats:
    """Return what stands in each strip up to ``reach`` above and below its row: (strips, 2 reach + 1)."""
    places = (rows[:, None] + np.arange(-reach, reach + 1)).clip(0, len(peaks) - 1)
    found: Floats = peaks[places, np.arange(STRIPS)[:, None]]
    return found


def rub_out_rule(ink: Floats, rule: Rule) -> None:
    """Replace a line by what stands both above and below it; ink that is much darker than the line stays."""
    height = len(ink)
    columns = np.arange(ink.shape[1])

    def beyond(sign: int) -> Floats:
        rows = [(rule.rows + sign * (rule.half + step)).clip(0, height - 1) for step in (1, 2)]
        nearest = np.maximum(*(ink[row, columns] for row in rows))[None]
        widened: Floats = highest(nearest, 1, 2 * rule.half + 1)[0]
        return widened

    across = np.minimum(beyond(-1), beyond(1))
    band = [(rule.rows + step).clip(0, height - 1) for step in range(-rule.half, rule.half + 1)]
    line = np.median(np.max([ink[row, columns] for row in band], axis=0))
    dark = float(np.percentile(ink, 99.5))
    for row in band:
        level = ink[row, columns]
        stays = level > max(1.3 * line, (line + dark) / 2)
        ink[row, columns] = np.where(stays, level, np.minimum(level, across))
