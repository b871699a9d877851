"""Labels go out, with the evidence behind each, for whoever works on with them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from django.db.models import Count
from numpy.typing import NDArray

from drcaptcha.errors import NotPossible
from drcaptcha.glyphs.models import SIDE, DataSet, Glyph, GlyphQuerySet, State
from drcaptcha.labelling.log import alphabet
from drcaptcha.labelling.models import Vote
from drcaptcha.labelling.weighing import Weighed, weigh
from handwriting.formats.exports import write_export
from handwriting.formats.labels import LabelRow, distributions
from handwriting.formats.tables import write_csv, write_jsonl, write_parquet

BATCH = 5_000
"""Glyphs that are held at once."""

Progress = Callable[[float], object]
"""Called with the share of the work that is done."""

_FIELDS = ("pk", "digest", "data_set__name", "data_set__caseless", "split", "state", "label", "given", "truth")


@dataclass(frozen=True)
class Selection:
    """Which glyphs go out: those in one of ``states``, or in any if none is named; of one data set, or of all."""

    states: Sequence[str] = ()
    data_set: str | None = None

    def glyphs(self) -> GlyphQuerySet:
        """Return the glyphs, in the order of their numbers.

        Raises:
            NotPossible: there is no such state or data set.
        """
        if unknown := set(self.states) - set(State.values):
            raise NotPossible(f"There is no state {', '.join(sorted(unknown))}. There are: {', '.join(State.values)}.")
        glyphs = Glyph.objects.order_by("pk")
        if self.states:
            glyphs = glyphs.filter(state__in=self.states)
        if self.data_set is None:
            return glyphs
        names = list(DataSet.objects.order_by("name").values_list("name", flat=True))
        if self.data_set not in names:
            raise NotPossible(f"There is no data set {self.data_set}. There are: {', '.join(names) or 'none yet'}.")
        return glyphs.filter(data_set__name=self.data_set)


@dataclass
class _Export:
    """An export on its way: ``steps`` of ``work`` are done, ``count`` rows are written."""

    glyphs: GlyphQuerySet
    progress: Progress
    work: int
    steps: int = 0
    count: int = 0

    def rows(self) -> Iterator[list[LabelRow]]:
        """Yield all rows, a batch at a time. Who votes meanwhile does not wait."""
        last = 0
        while batch := list(self.glyphs.filter(pk__gt=last).values_list(*_FIELDS)[:BATCH]):
            last = batch[-1][0]
            yield _rows(batch)
            self.count += len(batch)
            self._step(len(batch))

    def pictures(self, keys: Sequence[int]) -> NDArray[np.uint8]:
        """Return the pictures of these glyphs, whose numbers ascend, (n, 28, 28)."""
        found = Glyph.objects.filter(pk__in=keys).order_by("pk").values_list("picture", flat=True)
        data = b"".join(map(bytes, found))
        self._step(len(keys))
        return np.frombuffer(data, np.uint8).reshape(len(keys), SIDE, SIDE)

    def _step(self, count: int) -> None:
        self.steps += count
        # Glyphs that were imported meanwhile were not foreseen.
        self.progress(min(1.0, self.steps / self.work))


def _write_idx(file: Path, export: _Export) -> None:
    write_export(file, export.rows(), export.pictures, alphabet().classes)


WRITERS: Mapping[str, Callable[[Path, _Export], None]] = {
    "csv": lambda file, export: write_csv(file, export.rows()),
    "jsonl": lambda file, export: write_jsonl(file, export.rows()),
    "parquet": lambda file, export: write_parquet(file, export.rows()),
    "idx": _write_idx,
}
"""The formats by their names."""


def export_labels(file: Path, kind: str, selection: Selection, *, progress: Progress = lambda _: None) -> int:
    """Write one row a glyph to ``file`` and return their number. ``kind`` is one of ``WRITERS``; ``idx`` has pictures.

    Label and state are those that hold here; their probabilities are weighed anew. What is disputed has no label, but
    a distribution. The file appears when it is whole.

    Raises:
        FormatError, NotPossible: the selection, the place or a missing package makes it impossible; nothing is written.
    """
    glyphs = selection.glyphs()
    export = _Export(glyphs, progress, max(1, glyphs.count()) * (2 if kind == "idx" else 1))
    try:
        WRITERS[kind](file, export)
    except OSError as fault:
        raise NotPossible(f"{file} can't be written: {fault.strerror or fault}. Name a place that can.") from fault
    except ModuleNotFoundError as missing:
        raise NotPossible(
            f"Parquet needs the package {missing.name}, which is not installed. "
            "Install it with: pip install 'drcaptcha[parquet]'"
        ) from missing
    return export.count


def _rows(glyphs: Sequence[tuple[Any, ...]]) -> list[LabelRow]:
    keys = [glyph[0] for glyph in glyphs]
    weighed, votes = weigh(keys), _votes(keys)
    rows = []
    for glyph, said, sources in zip(glyphs, _said(weighed), weighed.tally.votes.tolist(), strict=True):
        key, digest, data_set, caseless, split, state, label, given, truth = glyph
        rows.append(
            LabelRow(
                glyph=key,
                digest=bytes(digest).hex(),
                data_set=data_set,
                caseless=caseless,
                split=split,
                state=state,
                label=label or None,
                given=given or None,
                truth=truth or None,
                posterior=said[0],
                distribution=said[1],
                unreadable=said[2],
                votes=votes.get(key, 0),
                sources=sources,
            )
        )
    return rows


def _votes(keys: Sequence[int]) -> dict[int, int]:
    counts = Vote.objects.filter(glyph__in=keys).values_list("glyph").annotate(count=Count("pk")).order_by()
    return dict(counts)


def _said(weighed: Weighed) -> Iterator[tuple[float | None, dict[str, float] | None, float | None]]:
    """Yield posterior, distribution and the chance that it can't be read, for each glyph; nothing without evidence."""
    known, beliefs = weighed.known, weighed.beliefs
    heard = (weighed.tally.votes > 0) | (known.ensemble > 0) | (known.given >= 0)
    shares = distributions(beliefs.distribution, alphabet().classes)
    columns = (heard.tolist(), weighed.posterior.round(6).tolist(), shares, beliefs.unreadable.round(4).tolist())
    for some, *said in zip(*columns, strict=True):
        yield (said[0], said[1], said[2]) if some else (None, None, None)
