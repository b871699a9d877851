"""What pages about learning have in common: how a share, an evaluation or its pictures are written."""

from pathlib import Path
from typing import Any

import numpy as np
from django.db.models import Model
from django.http import FileResponse, Http404
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from drcaptcha.administration.base import chip
from drcaptcha.learning import registry
from drcaptcha.learning.models import Evaluation
from handwriting import metrics

RIVALS = 8
"""So many other ensembles are offered to compare with."""

WORST = 12
"""So many of the classes that are read the worst are listed."""


def share(value: float | None) -> str:
    """Return an accuracy as people read it."""
    return "–" if value is None else f"{value:.2%}"


def figures(judged: Evaluation | None) -> SafeString | str:
    """Show the figures of an evaluation."""
    if judged is None:
        return "–"
    return render_to_string("administration/figures.html", {"rows": rows_of(judged)})


def rows_of(judged: Evaluation) -> list[tuple[str, str, str]]:
    """Return each figure of an evaluation: its name, how it is written, and a note."""
    interval = judged.share
    rows = [
        ("accuracy", share(judged.accuracy), f"95 % interval {interval.low:.2%} to {interval.high:.2%}"),
        ("look-alikes folded", share(judged.folded), "O for 0 and the like count as right"),
        ("top 3", share(judged.top3), "the label is among the three likeliest"),
        ("macro-F1", share(judged.macro_f1), "every class counts alike"),
        ("log-loss", _number(judged.log_loss), "nats a glyph"),
        ("Brier score", _number(judged.brier), "0 to 2, less is better"),
        ("calibration error", share(judged.ece), "ECE, 15 bins of as many glyphs each"),
    ]
    calibrated = (
        f"found on {judged.validation_size:,} validation glyphs" if judged.validation_size else "not calibrated"
    )
    pooled = f"{judged.pooling}, correction {judged.correction:g}" if judged.ensemble_id else ""
    return [
        *((name, value, note) for name, value, note in rows if value != "–"),
        ("temperature", f"{judged.temperature:.3f}", ", ".join(filter(None, (calibrated, pooled)))),
        (
            "test glyphs",
            f"{judged.test_size:,}",
            f"SHA-256 {judged.test_hash[:12]}…" if judged.test_hash else "not hashed",
        ),
    ]


def classes(judged: Evaluation | None, names: str) -> SafeString | str:
    """List the classes that are read the worst, with what they are taken for."""
    counts = np.array(judged.confusion if judged else [], np.int64)
    if counts.shape != (len(names), len(names)):
        return "–"
    recall, precision = metrics.recall(counts), metrics.precision(counts)
    wrong = counts - np.diag(np.diag(counts))
    there = np.flatnonzero(counts.sum(axis=1))
    worst = there[np.argsort(recall[there], kind="stable")][:WORST]
    rows = [
        {
            "name": names[place],
            "recall": float(recall[place]),
            "precision": float(precision[place]),
            "glyphs": int(counts[place].sum()),
            "taken": [
                (names[other], int(wrong[place, other]))
                for other in np.argsort(-wrong[place])[:3]
                if wrong[place, other]
            ],
        }
        for place in worst
    ]
    return render_to_string("administration/classes.html", {"rows": rows})


def rivals(judged: Evaluation) -> SafeString | str:
    """Lead to comparisons with the latest evaluations of other ensembles on the same test glyphs."""
    same = Evaluation.objects.filter(test_hash=judged.test_hash).exclude(ensemble=None).exclude(test_hash="")
    found: dict[int, Evaluation] = {}
    for row in same.exclude(ensemble=judged.ensemble).select_related("ensemble").order_by("-created", "-pk")[:200]:
        found.setdefault(row.ensemble_id or 0, row)
    compare = "admin:learning_evaluation_compare"
    links = (
        (reverse(compare, query={"one": judged.pk, "other": row.pk}), f"{row.ensemble} ({row.accuracy:.2%})")
        for row in list(found.values())[:RIVALS]
    )
    return format_html_join(", ", '<a class="row-link" href="{}">{}</a>', links) or "none was judged on the same glyphs"


def gallery(row: Model, names: tuple[str, ...], address: Any) -> SafeString:
    """Show pictures of ``row``, those that there are, each at the ``address`` of its name."""
    shown = ((address(name), name.removesuffix("_picture").capitalize(), row) for name in names if getattr(row, name))
    return format_html(
        '<div class="figures">{}</div>',
        format_html_join(
            "",
            '<figure><a href="{0}"><img src="{0}" alt="{1} of {2}" loading="lazy"></a>'
            "<figcaption>{1}</figcaption></figure>",
            shown,
        ),
    )


def pictures(judged: Evaluation | None) -> SafeString | str:
    """Show the pictures of an evaluation."""
    if judged is None or not any(getattr(judged, name) for name in judged.PICTURES):
        return "–"
    return gallery(
        judged, judged.PICTURES, lambda name: reverse("admin:learning_evaluation_file", args=[judged.pk, name])
    )


def serves(judged: Evaluation) -> SafeString:
    """Tell that an evaluation serves, or that it can't, since a network is lost."""
    lost = registry.lost(judged)
    return chip(f"serves, but {', '.join(lost)} is lost", "bad") if lost else chip("serves", "good")


def serve(file: Any, name: str, *, attached: bool = False) -> FileResponse:
    """Serve a stored file that never changes.

    Raises:
        Http404: it is not there.
    """
    try:
        response = FileResponse(
            file.open("rb"), as_attachment=attached, filename=f"{name}{Path(file.name or '').suffix}"
        )
    except (FileNotFoundError, ValueError):
        raise Http404(f"The file {name} is lost.") from None
    # The policy keeps scripts in a drawing from running here.
    response.headers["Cache-Control"] = "private, max-age=86400, immutable"
    response.headers["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
    response.headers["X-Content-Type-Options"] = "nosniff"
    return response


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"
