"""Pictures drawn with matplotlib: a trained network's architecture, its two curves and its confusions; a simulation.

Each function returns the bytes of a PNG. Figures are built without pyplot, so that nothing global is kept.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from matplotlib.ticker import FuncFormatter, MaxNLocator
from torch import Tensor, nn

from handwriting.networks.architectures import Network, Shortcut, parameter_count
from handwriting.networks.training import Epoch

INK, FAINT, RULE, PAPER = "#1c2330", "#6b7484", "#dfe3ea", "#ffffff"
TRAINING, VALIDATION = "#9aa5b8", "#c2410c"
FAMILY = {
    "Convolution": "#dbeafe",
    "Residual": "#cfdcf7",
    "Dense": "#fde8d7",
    "Pool": "#e2f3e5",
    "Flatten": "#eef0f4",
    "Dropout": "#eef0f4",
}
HEAT = LinearSegmentedColormap.from_list("heat", ["#ffffff", "#fed7aa", "#ea580c", "#7c2d12"])
RESOLUTION = 144
"""Dots per inch."""
PERCENT = FuncFormatter(lambda value, _: f"{100 * value:.4g}%")
WIDTH = 6.8
"""Of the drawing of an architecture, in inches."""


@dataclass(frozen=True)
class Block:
    """One box of the drawing: what it is, what leaves it, how many weights it holds."""

    title: str
    detail: str
    shape: tuple[int, ...]
    parameters: int


def architecture(name: str, network: Network) -> bytes:
    """Draw ``network`` from the glyph at the top to the classes at the bottom."""
    drawn = [Block("Glyph", "28 × 28, ink 0 to 1", (1, 28, 28), 0), *blocks(network)]
    height = 0.62 * len(drawn) + 0.9
    figure = _figure(WIDTH, height)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, WIDTH)
    axes.set_ylim(height, 0)
    axes.text(0.3, 0.42, name, fontsize=15, fontweight="bold", color=INK, va="center")
    total = f"{parameter_count(network):,} parameters"
    axes.text(WIDTH - 0.3, 0.42, total, fontsize=10, color=FAINT, va="center", ha="right")
    for position, block in enumerate(drawn):
        _draw_block(axes, block, 0.75 + 0.62 * position, last=position == len(drawn) - 1)
    return _png(figure)


def blocks(network: Network) -> list[Block]:
    """Return what the drawing shows of ``network``, found by sending one empty glyph through it."""
    features = torch.zeros(1, 1, 28, 28)
    found = []
    network.eval()
    with torch.inference_mode():
        for stage in network.stages:
            features = stage(features)
            found.append(_block(stage, features))
    return found


def loss_curve(history: Sequence[Epoch]) -> bytes:
    """Draw training and validation loss by epoch."""
    figure, axes = _curve("Loss", [e.loss for e in history], [e.validation_loss for e in history])
    axes.set_ylim(bottom=0)
    return _png(figure)


def accuracy_curve(history: Sequence[Epoch]) -> bytes:
    """Draw training and validation accuracy by epoch."""
    figure, axes = _curve("Accuracy", [e.accuracy for e in history], [e.validation_accuracy for e in history])
    axes.yaxis.set_major_formatter(PERCENT)
    axes.set_ylim(top=1)
    return _png(figure)


def confusion_matrix(counts: npt.NDArray[np.int64], classes: Sequence[str]) -> bytes:
    """Draw ``counts`` (label by row, prediction by column) as shares of each label, which no class can then dominate.

    The colour grows with the root of the share, so that rare confusions show.
    """
    totals = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, totals, out=np.zeros(counts.shape), where=totals > 0)
    side = max(5.0, 0.2 * len(classes) + 1.6)
    figure = _figure(side, side)
    axes = figure.add_axes((0.09, 0.06, 0.86, 0.86))
    axes.imshow(np.sqrt(shares), cmap=HEAT, vmin=0, vmax=1)
    _label_matrix(axes, classes)
    for row, column in np.argwhere(shares >= 0.05):
        if row != column:
            axes.text(column, row, f"{shares[row, column]:.0%}"[:-1], ha="center", va="center", fontsize=7, color=INK)
    right = np.trace(counts) / max(1, counts.sum())
    axes.set_title(f"What was read for what   {right:.1%} right", loc="left", color=INK, fontsize=11, pad=22)
    return _png(figure)


def simulation(outcome: Mapping[str, Any]) -> bytes:
    """Draw how a simulation went: accuracy, labels and their cost by votes, and how each kind of visitor fared.

    ``outcome`` has ``probes`` (how many glyphs were asked about), ``course`` (rows of ``votes``, ``accepted`` and
    ``accuracy``; those with ``labels`` and ``network``, the accuracy of a network that learned from them, make a
    further panel), ``pass_rate`` and ``poison_rate`` by kind.
    """
    course = outcome["course"]
    labelled = [row for row in course if row["accepted"]]
    learned = [row for row in course if "network" in row]
    rows = 3 if learned else 2
    figure = _figure(11.5, 3.6 * rows)
    grid = figure.subplots(rows, 2, gridspec_kw={"hspace": 0.45, "wspace": 0.22})
    _trace(grid[0, 0], "Labels that are right", labelled, "votes", lambda row: row["accuracy"], share=True)
    _trace(grid[0, 1], "Glyphs accepted", course, "votes", lambda row: row["accepted"] / outcome["probes"], share=True)
    grid[0, 1].set_ylim(bottom=0)
    _trace(grid[1, 0], "Votes a label", labelled, "votes", lambda row: row["votes"] / row["accepted"])
    _kinds(grid[1, 1], outcome["pass_rate"], outcome["poison_rate"])
    if learned:
        _trace(grid[2, 0], "A network trained on them", learned, "labels", lambda row: row["network"], share=True)
        grid[2, 1].set_axis_off()
    figure.subplots_adjust(left=0.07, right=0.97, top=1 - 0.2 / rows, bottom=0.16 / rows)
    return _png(figure)


def _trace(
    axes: Axes,
    title: str,
    course: Sequence[Mapping[str, float]],
    below: str,
    value: Callable[[Mapping[str, float]], float],
    *,
    share: bool = False,
) -> None:
    """Draw one figure of each row against another, ``below``."""
    _plain(axes, title, below)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda count, _: f"{count:,.0f}"))
    values = [value(row) for row in course]
    counts = [row[below] for row in course]
    axes.plot(counts, values, color=VALIDATION, linewidth=2, marker="o", markersize=4, clip_on=False)
    axes.set_xlim(left=0)
    if share:
        axes.yaxis.set_major_formatter(PERCENT)
        axes.set_ylim(top=1)
    else:
        axes.set_ylim(bottom=0)


def _kinds(axes: Axes, passed: Mapping[str, float], wrong: Mapping[str, float]) -> None:
    """Draw two bars for each kind of visitor."""
    _plain(axes, "Visitors", "")
    axes.grid(visible=False)
    places = np.arange(len(passed))
    for name, shares, colour, offset in (
        ("passed", passed, TRAINING, -0.19),
        ("wrong votes", {kind: wrong.get(kind, 0.0) for kind in passed}, VALIDATION, 0.19),
    ):
        bars = axes.barh(places + offset, list(shares.values()), height=0.36, color=colour, label=name)
        axes.bar_label(bars, [f"{share:.1%}" for share in shares.values()], padding=4, fontsize=8, color=FAINT)
    axes.set_yticks(places, list(passed), fontsize=9, color=INK)
    axes.invert_yaxis()
    axes.set_xlim(0, 1.12)
    axes.xaxis.set_visible(False)
    axes.spines["bottom"].set_visible(False)
    axes.legend(frameon=False, fontsize=9, labelcolor=INK, loc="lower right", bbox_to_anchor=(1, 1), ncols=2)


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


def _curve(title: str, training: Sequence[float], validation: Sequence[float]) -> tuple[Figure, Axes]:
    figure = _figure(6.4, 3.8)
    axes = figure.add_axes((0.1, 0.14, 0.74, 0.72))
    # Each line carries its name at its end; where the ends meet, the names part.
    meet = abs(training[-1] - validation[-1]) < 0.06 * (np.ptp([*training, *validation]) or 1)
    nudge = 0 if not meet else 7 if validation[-1] >= training[-1] else -7
    _line(axes, "training", training, TRAINING, -nudge)
    _line(axes, "validation", validation, VALIDATION, nudge)
    _plain(axes, title, "epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure, axes


def _plain(axes: Axes, title: str, below: str) -> None:
    """Give axes their title, what the figures below them count, and as few lines as can be."""
    axes.set_title(title, loc="left", color=INK, fontsize=13, fontweight="bold", pad=12)
    axes.set_xlabel(below, color=FAINT, fontsize=9)
    axes.grid(axis="y", color=RULE, linewidth=0.8)
    axes.tick_params(length=0, colors=FAINT, labelsize=9)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(RULE)


def _line(axes: Axes, name: str, values: Sequence[float], colour: str, nudge: int) -> None:
    epochs = range(1, len(values) + 1)
    axes.plot(epochs, values, color=colour, linewidth=2, marker="o", markersize=4, clip_on=False)
    axes.annotate(
        name,
        (len(values), values[-1]),
        xytext=(9, nudge),
        textcoords="offset points",
        color=colour,
        fontsize=10,
        fontweight="bold",
        va="center",
    )


def _draw_block(axes: Axes, block: Block, top: float, *, last: bool) -> None:
    colour = next((tint for family, tint in FAMILY.items() if block.title.startswith(family)), PAPER)
    axes.add_patch(
        FancyBboxPatch(
            (0.35, top + 0.05),
            WIDTH - 0.7,
            0.4,
            boxstyle="round,pad=0.02,rounding_size=0.07",
            facecolor=colour,
            edgecolor="#b8c0cc",
            linewidth=0.8,
        )
    )
    middle = top + 0.25
    axes.text(0.5, middle, block.title, fontsize=10.5, fontweight="bold", color=INK, va="center")
    axes.text(1.85, middle, block.detail, fontsize=9, color=FAINT, va="center")
    axes.text(5.1, middle, " × ".join(map(str, block.shape)), fontsize=10, color=INK, va="center", ha="right")
    weights = f"{block.parameters:,}" if block.parameters else "–"
    axes.text(WIDTH - 0.5, middle, weights, fontsize=9, color=FAINT, va="center", ha="right")
    if not last:
        axes.annotate(
            "",
            (WIDTH / 2, top + 0.66),
            (WIDTH / 2, top + 0.47),
            arrowprops={"arrowstyle": "-|>", "color": FAINT, "lw": 0.9},
        )


def _block(stage: nn.Module, features: Tensor) -> Block:
    parts = [part for part in stage.modules() if not list(part.children())]
    title, details = "Residual" if isinstance(stage, Shortcut) else "", []
    for part in parts:
        name, detail = _words(part)
        title = title or name
        details += [detail] if detail else []
    shape = tuple(features.shape[1:])
    detail = ", ".join(details).removeprefix(f"{title.lower()} ")
    return Block(title, detail, shape, sum(weights.numel() for weights in stage.parameters()))


def _words(part: nn.Module) -> tuple[str, str]:
    """Return the title that ``part`` gives a box of its own, and what it adds to the detail of any box."""
    if isinstance(part, nn.Conv2d):
        stride = f", stride {part.stride[0]}" if part.stride[0] > 1 else ""
        return "Convolution", f"{part.kernel_size[0]} × {part.kernel_size[1]}{stride}"
    if isinstance(part, nn.MaxPool2d):
        return "Pool", f"largest of {part.kernel_size} × {part.kernel_size}"
    if isinstance(part, nn.Dropout):
        return "Dropout", f"dropout {part.p:g}"
    plain = {nn.Linear: ("Dense", ""), nn.BatchNorm2d: ("Norm", "norm"), nn.ReLU: ("ReLU", "ReLU")}
    return plain.get(type(part), (type(part).__name__, ""))


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), dpi=RESOLUTION, facecolor=PAPER)
    FigureCanvasAgg(figure)
    return figure


def _png(figure: Figure) -> bytes:
    buffer = BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()
