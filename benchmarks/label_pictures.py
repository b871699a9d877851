"""The pictures of benchmarks/labels.py."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from PIL import Image, ImageDraw, ImageFont

mpl.use("agg")
from matplotlib import pyplot as plt

Outcomes = Mapping[str, dict[str, Any]]

INK, OURS, OTHERS = "#1f2937", "#c2410c", "#64748b"
MARKS = {"first": "o", "agree3": "s", "recaptcha": "D", "dominance3": "^", "majority": "v"}
CLEAR = ("honest", "liars10", "colluders10", "onetime")
"""Crowds whose few wrong labels tell of the glyphs more than of the crowd."""

SHOWN = ("honest", "liars10", "colluders10", "bots10", "ambiguous", "colluders30", "mixed40")


def draw_curve(outcomes: Outcomes, file: Path) -> None:
    """Draw wrong labels against votes, a panel for each crowd: every rule a mark, ours a curve of its thresholds."""
    plt.rcParams |= {"font.size": 9, "axes.spines.top": False, "axes.spines.right": False, "text.color": INK}
    figure, panels = plt.subplots(2, 4, figsize=(13, 6.4), sharex=True, sharey=True, layout="constrained")
    for crowd, panel in zip(SHOWN, panels.flat, strict=False):
        rows = [row for row in outcomes.values() if row["crowd"] == crowd and row["name"] in {"ours", *MARKS}]
        curve = sorted(
            (row["votes_per_label"], _wrong(row))
            for row in outcomes.values()
            if row["crowd"] == crowd and row["name"].startswith("ours at")
        )
        ours = [row for row in rows if row["name"] == "ours"]
        if ours:
            point = (float(np.mean([row["votes_per_label"] for row in ours])), float(np.mean([*map(_wrong, ours)])))
            panel.plot(*zip(*sorted([*curve, point]), strict=True), color=OURS, marker=".", label="ours, by threshold")
            panel.plot(*point, color=OURS, marker="*", markersize=13, linestyle="", label="ours, as set")
        for name, mark in MARKS.items():
            some = [row for row in rows if row["name"] == name]
            if some:
                panel.plot(
                    np.mean([row["votes_per_label"] for row in some]),
                    np.mean([*map(_wrong, some)]),
                    color=OTHERS,
                    marker=mark,
                    linestyle="",
                    label=name,
                )
        panel.set_title(crowd, loc="left", fontweight="bold")
        panel.axhline(0.5, color=INK, linewidth=0.6, linestyle=":")
        panel.set_yscale("log")
        panel.grid(axis="y", color="#e5e7eb", linewidth=0.6)
    for panel in panels[-1]:
        panel.set_xlabel("votes a label")
    for panel in panels[:, 0]:
        panel.set_ylabel("wrong labels, %")
    last = panels.flat[-1]
    last.axis("off")
    last.legend(*panels.flat[0].get_legend_handles_labels(), loc="center", frameon=False)
    figure.savefig(file, dpi=130)
    plt.close(figure)


def _wrong(row: Mapping[str, Any]) -> float:
    """Return the share of wrong labels in percent; none counts as half a label, which a logarithm can show."""
    return float(100 * max(1 - row["accuracy"], 0.5 / max(row["accepted"], 1)))


def draw_disagreements(outcomes: Outcomes, file: Path, *, columns: int = 16, most: int = 96) -> None:
    """Draw the glyphs that our rule labelled otherwise than EMNIST did: its truth, and the label."""
    from drcaptcha.glyphs.models import Glyph

    found: dict[int, tuple[str, str]] = {}
    for row in outcomes.values():
        if row["name"] == "ours" and row["crowd"] in CLEAR:
            found |= {key: (truth, label) for key, truth, label in row["errors"]}
    shown = sorted(found)[:: max(1, len(found) // most)][:most]
    pictures = Glyph.objects.in_bulk(shown)
    cell, foot = 60, 18
    rows = -(-len(shown) // columns)
    sheet = Image.new("L", (columns * cell + 8, rows * (cell + foot) + 8), 255)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    for place, key in enumerate(shown):
        left, top = 8 + place % columns * cell, 8 + place // columns * (cell + foot)
        picture = Image.fromarray(255 - pictures[key].array).resize((cell - 8, cell - 8), Image.Resampling.LANCZOS)
        sheet.paste(picture, (left, top))
        truth, label = found[key]
        draw.text((left + cell // 2 - 4, top + cell - 1), f"{truth} > {label}", 60, font, anchor="mm")
    sheet.save(file, optimize=True)
    file.with_suffix(".json").write_text(_listing(shown, found))


def _listing(shown: list[int], found: Mapping[int, tuple[str, str]]) -> str:
    return "[\n" + ",\n".join(f'  [{key}, "{found[key][0]}", "{found[key][1]}"]' for key in shown) + "\n]\n"
