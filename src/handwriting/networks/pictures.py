"""Pictures drawn with matplotlib: a trained network's architecture, its two curves; a simulation.

Each function returns the bytes of a PNG. Figures are built without pyplot, so that nothing global is kept.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from matplotlib.ticker import FuncFormatter, MaxNLocator
from torch import Tensor, nn

from handwriting.networks.architectures import Network, Shortcut, parameter_count
from handwriting.networks.paper import FAINT, INK, PAPER, PERCENT, TRAINING, VALIDATION, plain, png, sheet
from handwriting.networks.training import Epoch

FAMILY = {
    "Convolution": "#dbeafe",
    "Residual": "#cfdcf7",
    "Dense": "#fde8d7",
    "Pool": "#e2f3e5",
    "Flatten": "#eef0f4",
    "Dropout": "#eef0f4",
}
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
    figure = sheet(WIDTH, height)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set_axis_off()
    axes.set_xlim(0, WIDTH)
    axes.set_ylim(height, 0)
    axes.text(0.3, 0.42, name, fontsize=15, fontweight="bold", color=INK, va="center")
    total = f"{parameter_count(network):,} parameters"
    axes.text(WIDTH - 0.3, 0.42, total, fontsize=10, color=FAINT, va="center", ha="right")
    for position, block in enumerate(drawn):
        _draw_block(axes, block, 0.75 + 0.62 * position, last=position == len(drawn) - 1)
    return png(figure)


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
    return png(figure)


def accuracy_curve(history: Sequence[Epoch]) -> bytes:
    """Draw training and validation accuracy by epoch."""
    figure, axes = _curve("Accuracy", [e.accuracy for e in history], [e.validation_accuracy for e in history])
    axes.yaxis.set_major_formatter(PERCENT)
    axes.set_ylim(top=1)
    return png(figure)


def simulation(outcome: Mapping[str, Any]) -> bytes:
    """Draw how a simulation went: accuracy, labels and their cost by votes, and how each kind of visitor fared.

    ``outcome`` has ``probes`` (how many glyphs were asked about), ``course`` (rows of ``votes``, ``accepted`` and
    ``accuracy``; those with ``labels`` and ``network``, the accuracy of a network that learned from them, make a
    further panel, with ``network_on_truth``, that of one which has the truth of all), ``pass_rate`` and ``poison_rate``
    by kind.
    """
    course = outcome["course"]
    labelled = [row for row in course if row["accepted"]]
    learned = [row for row in course if "network" in row]
    rows = 3 if learned else 2
    figure = sheet(11.5, 3.6 * rows)
    grid = figure.subplots(rows, 2, gridspec_kw={"hspace": 0.45, "wspace": 0.22})
    _trace(grid[0, 0], "Labels that are right", labelled, "votes", lambda row: row["accuracy"], share=True)
    _trace(grid[0, 1], "Glyphs accepted", course, "votes", lambda row: row["accepted"] / outcome["probes"], share=True)
    grid[0, 1].set_ylim(bottom=0)
    _trace(grid[1, 0], "Votes a label", labelled, "votes", lambda row: row["votes"] / row["accepted"])
    _kinds(grid[1, 1], outcome["pass_rate"], outcome["poison_rate"])
    if learned:
        _trace(grid[2, 0], "A network trained on them", learned, "labels", lambda row: row["network"], share=True)
        if "network_on_truth" in learned[-1]:
            grid[2, 0].axhline(learned[-1]["network_on_truth"], color=VALIDATION, linewidth=1, linestyle=":")
        grid[2, 1].set_axis_off()
    figure.subplots_adjust(left=0.07, right=0.97, top=1 - 0.2 / rows, bottom=0.16 / rows)
    return png(figure)


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
    plain(axes, title, below)
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
    plain(axes, "Visitors", "")
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


def _curve(title: str, training: Sequence[float], validation: Sequence[float]) -> tuple[Figure, Axes]:
    figure = sheet(6.4, 3.8)
    axes = figure.add_axes((0.1, 0.14, 0.74, 0.72))
    # Each line carries its name at its end; where the ends meet, the names part.
    meet = abs(training[-1] - validation[-1]) < 0.06 * (np.ptp([*training, *validation]) or 1)
    nudge = 0 if not meet else 7 if validation[-1] >= training[-1] else -7
    _line(axes, "training", training, TRAINING, -nudge)
    _line(axes, "validation", validation, VALIDATION, nudge)
    plain(axes, title, "epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure, axes


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
