"""Pictures of how good a recogniser is: its confusions, whether it knows how sure to be, its errors, and its growth.

Each function returns the bytes of a PNG.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from handwriting.networks.paper import FAINT, INK, PAPER, PERCENT, RULE, TRAINING, VALIDATION, plain, png, sheet

HEAT = LinearSegmentedColormap.from_list("heat", ["#ffffff", "#fed7aa", "#ea580c", "#7c2d12"])
TICKS = (0.1, 0.2, 0.5, 0.8, 0.9, 0.95, 0.98, 0.995, 0.999)
FADED = LinearSegmentedColormap.from_list("faded", ["#cfd6e2", INK])
COLUMNS = 10
"""Of a sheet of errors."""
SHOWN = 50
"""Errors on a sheet."""


@dataclass(frozen=True)
class Reliability:
    """Bins of glyphs: how sure it was ``(n,)``, the share that is right, and its 95 % interval ``(n, 2)``."""

    confidence: npt.NDArray[np.float64]
    accuracy: npt.NDArray[np.float64]
    interval: npt.NDArray[np.float64]
    error: float


@dataclass(frozen=True)
class Miss:
    """A glyph ``(28, 28)`` that was read wrongly: its label, what was read instead, and how sure that seemed."""

    glyph: npt.NDArray[np.uint8]
    label: str
    said: str
    probability: float


@dataclass(frozen=True)
class Mark:
    """What an ensemble that learned from so many labels was worth, with its 95 % interval, and the day it was made."""

    labels: int
    accuracy: float
    low: float
    high: float
    day: str


def confusion_matrix(
    counts: npt.NDArray[np.int64], classes: Sequence[str], order: Sequence[int] | None = None
) -> bytes:
    """Draw ``counts`` (label by row, prediction by column) as shares of each label, which no class can then dominate.

    ``order`` places the classes. The colour grows with the root of the share, so that rare confusions show.
    """
    places = list(range(len(classes)) if order is None else order)
    counts, classes = counts[np.ix_(places, places)], [classes[place] for place in places]
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    side = max(5.0, 0.2 * len(classes) + 1.6)
    figure = sheet(side, side)
    axes = figure.add_axes((0.09, 0.06, 0.86, 0.86))
    axes.imshow(np.sqrt(shares), cmap=HEAT, vmin=0, vmax=1)
    _label_matrix(axes, classes)
    for row, column in np.argwhere(shares >= 0.05):
        if row != column:
            axes.text(column, row, f"{shares[row, column]:.0%}"[:-1], ha="center", va="center", fontsize=7, color=INK)
    right = np.trace(counts) / max(1, counts.sum())
    axes.set_title(f"What was read for what   {right:.1%} right", loc="left", color=INK, fontsize=11, pad=22)
    return png(figure)


def reliability(found: Reliability) -> bytes:
    """Draw how often the recogniser is right against how sure it is, on axes that spread what is nearly certain."""
    figure = sheet(6.4, 5.2)
    axes = figure.add_axes((0.11, 0.11, 0.84, 0.77))
    plain(axes, f"How sure, and how often right   ECE {found.error:.2%}", "how sure it is")
    low, high = _logit(np.array([0.1, 0.9995])).tolist()
    axes.plot([low, high], [low, high], color=TRAINING, linewidth=1.2, linestyle=(0, (4, 3)))
    across, up = _logit(found.confidence), _logit(found.accuracy)
    reach = np.abs(_logit(found.interval) - up[:, None]).T
    axes.errorbar(across, up, yerr=reach, fmt="none", ecolor=RULE, elinewidth=3)
    axes.plot(across, up, color=VALIDATION, linewidth=1.6, marker="o", markersize=5)
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(FixedLocator(_logit(np.array(TICKS)).tolist()))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 / (1 + np.exp(-value)):.3g}%"))
    axes.set_xlim(low, high)
    axes.set_ylim(low, high)
    axes.set_ylabel("how often it is right, with the 95 % interval", color=FAINT, fontsize=9)
    axes.text(
        high - 0.1,
        low + 0.25,
        f"{len(across)} bins of as many test glyphs each.\n"
        "Below the dashed line it is right less often than it thinks.",
        fontsize=8.5,
        color=FAINT,
        ha="right",
        backgroundcolor=PAPER,
    )
    return png(figure)


def worst_errors(misses: Sequence[Miss]) -> bytes:
    """Draw up to fifty glyphs that were read wrongly, each with its label, what was read, and how sure that seemed."""
    shown = misses[:SHOWN]
    width, height = 0.92 * COLUMNS + 0.42, 0.6 + 1.12 * max(1, -(-len(shown) // COLUMNS))
    figure = sheet(width, height)
    figure.text(0.25 / width, 1 - 0.36 / height, "Its surest errors", color=INK, fontsize=13, fontweight="bold")
    note = "label → what was read, and how sure that seemed" if shown else "there are none"
    figure.text(1 - 0.25 / width, 1 - 0.36 / height, note, color=FAINT, fontsize=9, ha="right")
    for number, miss in enumerate(shown):
        row, column = divmod(number, COLUMNS)
        left, bottom = 0.25 + 0.92 * column, height - 0.5 - 1.12 * row - 0.8
        _draw_miss(figure.add_axes((left / width, bottom / height, 0.8 / width, 0.8 / height)), miss)
    return png(figure)


def growth(marks: Sequence[Mark]) -> bytes:
    """Draw what ensembles, the oldest first, were worth against the labels that they learned from."""
    figure = sheet(6.4, 3.8)
    axes = figure.add_axes((0.11, 0.14, 0.82, 0.7))
    plain(axes, "Accuracy by labels", "labels learned from (the darker, the later)")
    labels, accuracy = [mark.labels for mark in marks], [mark.accuracy for mark in marks]
    reach = [[mark.accuracy - mark.low for mark in marks], [mark.high - mark.accuracy for mark in marks]]
    axes.errorbar(labels, accuracy, yerr=np.abs(reach), fmt="none", ecolor=RULE, elinewidth=3)
    axes.scatter(labels, accuracy, c=range(len(marks)), cmap=FADED, s=30, zorder=3)
    if marks:
        best = _best_so_far(marks)
        axes.plot(*best, color=RULE, linewidth=1.4, drawstyle="steps-post")
        axes.plot(labels[-1], accuracy[-1], color=VALIDATION, marker="o", markersize=7, zorder=4)
        text = f"{marks[-1].day}: {accuracy[-1]:.1%}"
        left = labels[-1] > (min(labels) + max(labels)) / 2 or len(marks) == 1
        axes.annotate(
            text,
            (labels[-1], accuracy[-1]),
            xytext=(-9 if left else 9, 9),
            textcoords="offset points",
            ha="right" if left else "left",
            color=VALIDATION,
            fontsize=9.5,
        )
    axes.yaxis.set_major_formatter(PERCENT)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda count, _: f"{count:,.0f}"))
    axes.margins(x=0.08, y=0.25)
    return png(figure)


def _best_so_far(marks: Sequence[Mark]) -> tuple[list[int], list[float]]:
    ordered = sorted(marks, key=lambda mark: mark.labels)
    best = np.maximum.accumulate([mark.accuracy for mark in ordered])
    return [mark.labels for mark in ordered], best.tolist()


def _draw_miss(axes: Axes, miss: Miss) -> None:
    axes.imshow(255 - miss.glyph, cmap="gray", vmin=0, vmax=255)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines[:].set_color(RULE)
    axes.set_xlabel(f"{miss.label} → {miss.said}  {miss.probability:.0%}", fontsize=8.5, color=INK, labelpad=3)


def _logit(share: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    kept = np.clip(share, 0.02, 0.9995)
    spread: npt.NDArray[np.float64] = np.log(kept / (1 - kept))
    return spread


def _label_matrix(axes: Axes, classes: Sequence[str]) -> None:
    axes.set_xticks(range(len(classes)), classes, fontsize=8)
    axes.set_yticks(range(len(classes)), classes, fontsize=8)
    axes.tick_params(length=0, labeltop=True, colors=INK)
    axes.set_xlabel("read as (figures: % of the label's glyphs, from 5)", color=FAINT, fontsize=9)
    axes.set_ylabel("label", color=FAINT, fontsize=9)
    axes.set_xticks(np.arange(-0.5, len(classes)), minor=True)
    axes.set_yticks(np.arange(-0.5, len(classes)), minor=True)
    axes.grid(which="minor", color=RULE, linewidth=0.4)
    axes.tick_params(which="minor", length=0)
    axes.spines[:].set_color(RULE)
