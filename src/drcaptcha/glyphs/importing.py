"""Data sets come in: every picture once, in batches that stay when the rest is broken off."""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO

import numpy as np
from django.db import connection, transaction
from django.utils.text import slugify
from numpy.typing import NDArray

from drcaptcha.errors import NotPossible
from drcaptcha.glyphs.models import SIDE, DataSet, Split, State
from handwriting.alphabet import Alphabet
from handwriting.formats.emnist import Chunk, EmnistSource, Part
from handwriting.formats.errors import DamagedError
from handwriting.formats.folders import find_pictures
from handwriting.formats.labels import digest
from handwriting.preprocessing import PictureError, read

BATCH = 2_000
"""Glyphs a transaction: large enough to be fast, small enough to let others write in between."""

_MOST_FAULTS = 5

Progress = Callable[[int], object]
"""Called with how many glyphs were dealt with since the last call."""


@dataclass(frozen=True)
class ImportSummary:
    """What came of an import: glyphs added, also by part; pictures that were here before; classes of the data set."""

    imported: int
    skipped: int
    train: int
    test: int
    classes: int


def import_emnist(
    source: EmnistSource, *, now: datetime, rng: np.random.Generator, progress: Progress
) -> ImportSummary:
    """Add what is new of ``source``; broken off, it is taken up again by calling it again.

    A picture that is here already, from whatever set and in whichever part, is skipped and keeps its part, so none
    that judges ever teaches. A label is a given one, also if votes gave it in the installation that exported it: the
    votes did not come along, and without them it would not last.

    Raises:
        NotPossible: a data set of the same name has labels of another kind; then none is added.
    """
    data_sets = _data_sets(source.data_sets)
    return _add(data_sets, source.chunks(BATCH), len(source.classes), now=now, rng=rng, progress=progress)


def import_folder(
    folder: Path,
    *,
    name: str | None,
    split: Split,
    alphabet: Alphabet,
    now: datetime,
    rng: np.random.Generator,
    progress: Progress,
) -> ImportSummary:
    """Add the pictures below ``folder``, labelled by their folders' names or not at all, as the data set ``name``.

    ``progress`` hears of each picture as it is read. All are read before the first is written.

    Raises:
        FormatError: there are no pictures, or some can't be read; then none is added.
        NotPossible: unlabelled pictures are meant to judge.
    """
    pictures = find_pictures(folder, alphabet)
    labels = np.array([picture.label or "" for picture in pictures])
    if split == Split.TEST and "" in labels:
        raise NotPossible(f"{folder}: pictures without a label can't be test glyphs. Import them for training.")
    # Kept on disk, since a folder may hold more pictures than memory.
    with tempfile.TemporaryFile() as converted:
        _convert((picture.path for picture in pictures), folder, converted, progress)
        name = slugify(name or folder.resolve().name)[:100] or "pictures"
        chunks = _converted_chunks(converted, labels, "test" if split == Split.TEST else "train", name)
        classes = len(set(labels.tolist()) - {""})
        data_sets = _data_sets({name: False})
        return _add(data_sets, chunks, classes, now=now, rng=rng, progress=lambda _: None)


@transaction.atomic
def _data_sets(wanted: Mapping[str, bool]) -> dict[str, DataSet]:
    """Return the data sets of these names, each of which is caseless or not, and make those that are not here."""
    found = {}
    for name, caseless in wanted.items():
        found[name], _ = DataSet.objects.get_or_create(name=name, defaults={"caseless": caseless})
        if found[name].caseless != caseless:
            raise NotPossible(f"The data set {name} has labels of another kind. Choose another name.")
    return found


def _add(
    data_sets: Mapping[str, DataSet],
    chunks: Iterable[Chunk],
    classes: int,
    *,
    now: datetime,
    rng: np.random.Generator,
    progress: Progress,
) -> ImportSummary:
    added, seen = {"train": 0, "test": 0}, 0
    for chunk in chunks:
        added[chunk.part] += _insert(data_sets, chunk, now, rng)
        seen += len(chunk.labels)
        progress(len(chunk.labels))
    imported = sum(added.values())
    return ImportSummary(imported, seen - imported, added["train"], added["test"], classes)


# Django's bulk_create takes three times as long and can't tell how many rows were new.
_INSERT = """
    INSERT INTO glyphs_glyph
        (data_set_id, digest, picture, split, state, label, given, truth, worth, passes, place, created)
    VALUES (%s, %s, %s, %s, %s, %s, %s, %s, 3.0, 0, %s, %s)
    ON CONFLICT (digest) DO NOTHING
"""


def _insert(data_sets: Mapping[str, DataSet], chunk: Chunk, now: datetime, rng: np.random.Generator) -> int:
    """Add the glyphs that are new, in one transaction; return their number."""
    created = connection.ops.adapt_datetimefield_value(now)
    places = rng.integers(0, 2**31, len(chunk.labels)).tolist()
    rows = []
    said = zip(chunk.data_sets.tolist(), chunk.labels.tolist(), chunk.truths.tolist(), strict=True)
    for image, (name, label, truth), place in zip(chunk.images, said, places, strict=True):
        picture, data_set = image.tobytes(), data_sets[name].pk
        state = State.CONTROL.value if label else State.UNKNOWN.value
        rows.append((data_set, digest(picture), picture, chunk.part, state, label, label, truth, place, created))
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.executemany(_INSERT, rows)
        return int(cursor.rowcount)


def _convert(paths: Iterable[Path], folder: Path, converted: IO[bytes], progress: Progress) -> None:
    """Write every picture to ``converted`` as a glyph, or raise what is wrong with the bad ones."""
    faults = []
    for path in paths:
        try:
            converted.write(read(path).tobytes())
        except (OSError, PictureError) as fault:
            faults.append(f"{path.relative_to(folder)} ({fault})")
        progress(1)
    if faults:
        more = f" and {len(faults) - _MOST_FAULTS:,} more" if len(faults) > _MOST_FAULTS else ""
        raise DamagedError(
            folder,
            f"{len(faults):,} pictures can't be read: {'; '.join(faults[:_MOST_FAULTS])}{more}",
            "Nothing was imported; mend or remove them and import again",
        )


def _converted_chunks(converted: IO[bytes], labels: NDArray[np.str_], part: Part, name: str) -> Iterator[Chunk]:
    converted.seek(0)
    for start in range(0, len(labels), BATCH):
        some = labels[start : start + BATCH]
        data = converted.read(len(some) * SIDE * SIDE)
        images = np.frombuffer(data, np.uint8).reshape(-1, SIDE, SIDE)
        yield Chunk(part, images, some, some, np.full(len(some), name))
