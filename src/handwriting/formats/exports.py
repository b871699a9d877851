"""Glyphs with their labels in EMNIST's own layout, as the split ``export``, which ``emnist`` reads without loss.

Beside the files that any reader of EMNIST knows lie the rows of all glyphs, for what IDX has no place for. The pictures
of a part are in the order of its rows.
"""

import gzip
import zipfile
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from handwriting.formats.emnist import EXPORT, PARTS, Part, file_name, turned
from handwriting.formats.errors import MismatchError
from handwriting.formats.idx import IMAGES, LABELS, LIMIT, SIDE, header
from handwriting.formats.labels import LabelRow
from handwriting.formats.placing import placed

BATCH = 2_000
"""Pictures that are held at once."""

Pictures = Callable[[Sequence[int]], NDArray[np.uint8]]
"""Takes the ids of glyphs, ascending, and returns their pictures, (n, 28, 28)."""

_Place = Callable[[str], IO[bytes]]


def write_export(
    path: Path, batches: Iterable[Sequence[LabelRow]], pictures: Pictures, characters: Sequence[str]
) -> None:
    """Write a zip, where ``path`` ends so, or a folder. Ids ascend from row to row.

    The mapping has ``characters`` first, then what other labels there are, at the first glyph that has one. No label is
    a class too, of the code 0. Pictures are asked for only after all rows.
    """
    opened = _zip if path.suffix == ".zip" else _folder
    with opened(path) as place:
        content = _Content({character: number for number, character in enumerate(characters)})
        with _gzipped(place, file_name("rows", EXPORT)) as stream:
            for batch in batches:
                stream.write("".join(f"{row.to_json()}\n" for row in batch).encode())
                content.add(path, batch)
        with place(file_name("mapping", EXPORT)) as file:
            file.write(content.mapping())
        for part in PARTS:
            content.write(place, part, pictures)


class _Content:
    """What IDX files hold of rows: ids and label numbers by part, and the mapping, which grows as labels come."""

    def __init__(self, numbers: dict[str, int]) -> None:
        self.numbers = numbers
        self.keys: dict[str, array[int]] = {part: array("q") for part in PARTS}
        self.labels: dict[str, bytearray] = {part: bytearray() for part in PARTS}

    def add(self, path: Path, batch: Sequence[LabelRow]) -> None:
        for row in batch:
            self.keys[row.split].append(row.glyph)
            self.labels[row.split].append(self.numbers.setdefault(row.label or "", len(self.numbers)))
        if max(map(len, self.keys.values())) > LIMIT:
            raise MismatchError(path, f"would hold more than {LIMIT:,} glyphs a part", "Export one data set at a time")

    def mapping(self) -> bytes:
        rows = (f"{number} {ord(label) if label else 0}\n" for label, number in self.numbers.items())
        return "".join(rows).encode()

    def write(self, place: _Place, part: Part, pictures: Pictures) -> None:
        keys = self.keys[part]
        with _gzipped(place, file_name("labels", EXPORT, part)) as stream:
            stream.write(header(LABELS, len(keys)) + self.labels[part])
        with _gzipped(place, file_name("images", EXPORT, part)) as stream:
            stream.write(header(IMAGES, len(keys), SIDE, SIDE))
            for start in range(0, len(keys), BATCH):
                some = keys[start : start + BATCH]
                stream.write(turned(pictures(some).reshape(len(some), SIDE, SIDE)).tobytes())


@contextmanager
def _folder(path: Path) -> Iterator[_Place]:
    with placed(path, folder=True) as partial:
        yield lambda name: (partial / name).open("wb")


@contextmanager
def _zip(path: Path) -> Iterator[_Place]:
    with placed(path) as partial, zipfile.ZipFile(partial, "x") as archive:
        yield lambda name: archive.open(_member(name), "w")


def _member(name: str) -> zipfile.ZipInfo:
    # In a folder, as in EMNIST's own archive; without a time, so that equal exports are equal files.
    member = zipfile.ZipInfo(f"gzip/{name}")
    member.external_attr = 0o644 << 16
    return member


@contextmanager
def _gzipped(place: _Place, name: str) -> Iterator[gzip.GzipFile]:
    with place(name) as file, gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=file, mtime=0) as stream:
        yield stream
