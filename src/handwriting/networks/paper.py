"""What all pictures share: colours, axes with as few lines as can be, and the PNG that comes of a figure.

Figures are built without pyplot, so that nothing global is kept.
"""

from io import BytesIO

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

INK, FAINT, RULE, PAPER = "#1c2330", "#6b7484", "#dfe3ea", "#ffffff"
TRAINING, VALIDATION = "#9aa5b8", "#c2410c"
RESOLUTION = 144
"""Dots per inch."""
PERCENT = FuncFormatter(lambda value, _: f"{100 * value:.4g}%")


def sheet(width: float, height: float) -> Figure:
    """Return an empty figure of this size in inches."""
    figure = Figure(figsize=(width, height), dpi=RESOLUTION, facecolor=PAPER)
    FigureCanvasAgg(figure)
    return figure


def png(figure: Figure) -> bytes:
    """Return a figure as a PNG."""
    buffer = BytesIO()
    figure.savefig(buffer, format="png")
    return buffer.getvalue()


def plain(axes: Axes, title: str, below: str) -> None:
    """Give axes their title, what the figures below them count, and as few lines as can be."""
    axes.set_title(title, loc="left", color=INK, fontsize=13, fontweight="bold", pad=12)
    axes.set_xlabel(below, color=FAINT, fontsize=9)
    axes.grid(axis="y", color=RULE, linewidth=0.8)
    axes.tick_params(length=0, colors=FAINT, labelsize=9)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(RULE)
