"""The box of a form, which hangs together with what was written over its edge."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from handwriting.preprocessing.levels import Floats
from handwriting.preprocessing.parts import find_parts
from handwriting.preprocessing.rules import Rule, find_rules, rub_out_rule

SMALLEST = 0.35
"""Sides of a box, at least, as shares of the picture's."""
SHORTEST = 48
"""Pixels of a side, at least: in a smaller box a line can't be told from a stroke."""
CORNERS = 3
"""Corners of a box, at least, in which its sides meet; letters have two, as D and E do, or none."""
NEAR = 3
"""Pixels from where two sides would meet in which there has to be ink."""
FULLEST = 0.3
"""Share of a box that is ink, at most: four thin lines and what was written."""
END = 0.2
"""Share of a side at each end in which it is not looked for, but taken to go on."""
HIDDEN = 5
"""Strips of a side, of sixteen, on which something may be written."""
FLATTEST = 0.2
"""Height of what is left in a box, at least, as a share of the box's; a bar alone is part of what seemed a box."""


def rub_out_box(ink: Floats, solid: NDArray[np.bool_]) -> Floats:
    """Return ``ink`` (height, width), whose strokes are ``solid``, without a box around or through them."""
    if not solid.any():
        return ink
    parts = find_parts(solid)
    large = (parts.sides >= SMALLEST * np.array(solid.shape)).all(axis=1)
    for box in np.flatnonzero(large & (parts.areas <= FULLEST * parts.sides.prod(axis=1))):
        (top, left), (bottom, right) = parts.low[box], parts.high[box] + 1
        clean = ink.copy()
        seen = clean[top:bottom, left:right]
        sides, ends = _sides(seen), _sides(seen.T)
        if _corners(solid[top:bottom, left:right], sides, ends) < CORNERS:
            continue
        for page, rules in ((seen, sides), (seen.T, ends)):
            for rule in rules:
                rub_out_rule(page, rule)
        left_over = (clean[top:bottom, left:right] > ink.max() / 2).any(axis=1)
        if left_over.sum() >= FLATTEST * len(left_over):
            return clean
    return ink


def _corners(solid: NDArray[np.bool_], sides: list[Rule], ends: list[Rule]) -> int:
    """Count the corners in which the sides of a box and its ends meet."""
    found = 0
    for side in sides:
        for end in ends:
            column = end.rows[len(end.rows) // 2]
            row = side.rows[column]
            column = end.rows[row]
            near = solid[max(row - NEAR, 0) : row + NEAR + 1, max(column - NEAR, 0) : column + NEAR + 1]
            found += bool(near.any())
    return found


def _sides(ink: Floats) -> list[Rule]:
    """Return the upper and the lower side of a box that fills the picture, from edge to edge; none where one lacks."""
    height, width = ink.shape
    if min(ink.shape) < SHORTEST:
        return []
    room = round(END * width)
    # What is outside of the box on both sides lets its own sides stand free.
    rules = find_rules(np.pad(ink[:, room : width - room], ((height // 4, height // 4), (0, 0))), HIDDEN)
    found = []
    for rule in rules:
        slope, start = np.polyfit(np.arange(room, width - room), rule.rows - height // 4, 1)
        rows = np.round(start + slope * np.arange(width)).astype(np.intp).clip(0, height - 1)
        found.append(replace(rule, rows=rows, half=rule.half + 1))
    if len(found) < 2 or found[-1].rows.mean() - found[0].rows.mean() < height / 2:
        return []
    return [found[0], found[-1]]
