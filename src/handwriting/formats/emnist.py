"""EMNIST (Cohen et al. 2017, https://arxiv.org/abs/1702.05373), read from its own files, whichever way they lie.

A data set is a split, which has a mapping and two parts, ``train`` and ``test``. The files of a split are IDX images
and labels and a mapping in text, or one MATLAB file; they lie in a folder, in its subfolder ``gzip``, or in a zip.
The pictures are stored transposed and come out upright. What an installation has exported (``exports``) is a split
too, whose rows tell what IDX can't: data sets, and the truth apart from the label.
"""

import codecs
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Literal

import numpy as np
from numpy.typing import NDArray

from handwriting.formats.errors import DamagedError, FormatError, MismatchError, MissingError
from handwriting.formats.idx import FAULTS, RENEW, SIDE, StoredFile, check_images, read_images, read_labels, reading
from handwriting.formats.labels import PartRows, Rows, digest, read_rows
from handwriting.formats.matlab import MatlabPart, read_matlab

Part = Literal["train", "test"]
PARTS: tuple[Part, ...] = ("test", "train")
"""In the order in which chunks come: whoever keeps the first of two equal pictures keeps it out of training."""

EXPORT = "export"
"""The split that an installation writes."""

SPLITS = ("balanced", "byclass", "bymerge", "letters", "digits", "mnist", "starter", EXPORT)
DEFAULT_SPLIT = "balanced"

_SPLIT = rf"(?:emnist-)?(?P<split>{'|'.join(SPLITS)})"
_ROLES = {
    "images": re.compile(rf"{_SPLIT}-(?P<part>train|test)-images-idx3-ubyte(\.gz)?"),
    "labels": re.compile(rf"{_SPLIT}-(?P<part>train|test)-labels-idx1-ubyte(\.gz)?"),
    "mapping": re.compile(rf"{_SPLIT}-mapping\.txt(\.gz)?"),
    "rows": re.compile(rf"{_SPLIT}-labels\.jsonl(\.gz)?"),
    "matlab": re.compile(rf"{_SPLIT}\b.*\.mat"),
}
_MOST_MAPPING_BYTES = 1 << 16
_CHECKED_AT_ONCE = 2_000


@dataclass(frozen=True)
class Chunk:
    """Some glyphs of one part: ``images`` uint8 (n, 28, 28), upright; all else (n,).

    ``labels`` are of type ``<U1`` and empty where there is none. ``truths`` are what a data set said, ``data_sets`` the
    names of the data sets.
    """

    part: Part
    images: NDArray[np.uint8]
    labels: NDArray[np.str_]
    truths: NDArray[np.str_]
    data_sets: NDArray[np.str_]


@dataclass(frozen=True)
class EmnistSource:
    """A split whose files were all read and found whole.

    ``classes`` are the characters of its mapping, in its order. Chunks are read anew, so memory stays flat (but for
    MATLAB files).
    """

    split: str
    classes: tuple[str, ...]
    _labels: Mapping[Part, NDArray[np.str_]]
    _batches: Mapping[Part, Callable[[int], Iterator[NDArray[np.uint8]]]]
    _rows: Rows | None = None

    @property
    def name(self) -> str:
        """What to call the data set, where no rows tell."""
        return self.split if self.split == "starter" else f"emnist-{self.split}"

    @property
    def caseless(self) -> bool:
        """Whether a label stands for both cases of its letter, so that the picture may show either."""
        return self.split == "letters"

    @property
    def data_sets(self) -> Mapping[str, bool]:
        """The names of the data sets, each with whether it is caseless."""
        return self._rows.data_sets if self._rows else {self.name: self.caseless}

    @property
    def sizes(self) -> dict[Part, int]:
        """How many glyphs each part has."""
        return {part: len(labels) for part, labels in self._labels.items()}

    def chunks(self, size: int) -> Iterator[Chunk]:
        """Yield all glyphs, at most ``size`` at a time, those of the test part first."""
        for part, labels in self._labels.items():
            start = 0
            for batch in self._batches[part](size):
                some = slice(start, start + len(batch))
                yield self._chunk(part, _upright(batch), labels[some], some)
                start += len(batch)

    def _chunk(self, part: Part, images: NDArray[np.uint8], labels: NDArray[np.str_], some: slice) -> Chunk:
        if self._rows is None:
            return Chunk(part, images, labels, labels, np.full(len(labels), self.name))
        rows = self._rows.parts[part]
        return Chunk(part, images, labels, np.array(rows.truths[some], "<U1"), np.array(rows.data_sets[some]))


def turned(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return ``images`` (n, 28, 28) transposed: as EMNIST stores them if they were upright, and the other way about."""
    return np.ascontiguousarray(images.transpose(0, 2, 1))


def _upright(stored: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return turned(stored.reshape(-1, SIDE, SIDE))


def open_files(path: Path, split: str | None = None) -> EmnistSource:
    """Find, read and check the files of one split.

    ``path`` is a folder, a zip, a ``.mat`` or one IDX or mapping file, whose siblings are found beside it; a file of
    images or labels stands for its part alone. Without ``split`` the file's name tells it, and a folder or zip gives
    the only one that it has, or else the balanced one. Nothing is yielded, and no more than labels and rows is kept,
    before every file was read to its end.

    Raises:
        FormatError: something is missing, damaged or does not fit together.
    """
    if split is not None and split not in SPLITS:
        raise MissingError(path, f"there is no split {split!r}", f"Choose one of {', '.join(SPLITS)}")
    if path.is_dir():
        return _Shelf.of_folder(path).source(split, PARTS)
    if not path.is_file():
        raise MissingError(path, "there is no such file or folder", "Check the path")
    if path.suffix == ".zip":
        return _Shelf.of_zip(path).source(split, PARTS)
    role = _role_of(path.name)
    if path.suffix == ".mat":
        return _from_matlab(_on_disk(path), _agreed(path, split, role.split if role else None))
    if role is None:
        raise FormatError(
            path, "is not named like a file of EMNIST's", "Name a folder, a .zip, a .mat or an emnist-…-ubyte file"
        )
    parts = [part for part in PARTS if role.part in {None, part}]
    return _Shelf.of_folder(path.parent, path).source(_agreed(path, split, role.split), parts, matlab=False)


@dataclass(frozen=True)
class _Role:
    """What a file is, as its name tells."""

    kind: str
    split: str
    part: str | None = None


def _role_of(name: str) -> _Role | None:
    for kind, pattern in _ROLES.items():
        if match := pattern.fullmatch(name):
            return _Role(kind, match["split"], match.groupdict().get("part"))
    return None


def _agreed(path: Path, asked: str | None, named: str | None) -> str:
    if asked and named and asked != named:
        raise MismatchError(path, f"is of the split {named}, not {asked}", "Name another file or leave out the split")
    if split := asked or named:
        return split
    raise MissingError(path, "its name does not tell which split it is", "Say which split it holds")


def _on_disk(path: Path) -> StoredFile:
    return StoredFile(str(path), lambda: path.open("rb"))


def _in_zip(archive: Path, member: str) -> StoredFile:
    def opened() -> IO[bytes]:
        # The member keeps the archive's file open for as long as it needs it.
        with zipfile.ZipFile(archive) as file:
            return file.open(member)

    return StoredFile(f"{archive}/{member}", opened)


@dataclass(frozen=True)
class _Shelf:
    """The files of a place, by their role."""

    place: Path
    files: Mapping[_Role, list[StoredFile]]

    @classmethod
    def of_folder(cls, folder: Path, *named: Path) -> "_Shelf":
        """Gather what was named, what lies in a folder, in its subfolder gzip and in its gzip.zip, in this order."""
        paths = [*named, *sorted(folder.iterdir()), *sorted(folder.glob("gzip/*"))]
        found = [(path.name, _on_disk(path)) for path in paths if path.is_file()]
        archive = folder / "gzip.zip"
        return cls(folder, _by_role([*found, *(_members(archive) if archive.is_file() else ())]))

    @classmethod
    def of_zip(cls, archive: Path) -> "_Shelf":
        return cls(archive, _by_role(_members(archive)))

    def source(self, split: str | None, parts: Iterable[Part], *, matlab: bool = True) -> EmnistSource:
        """Read the split from its IDX files, or from its MATLAB file where there are none."""
        split = split or self._default()
        wanted = [_Role("mapping", split), *([_Role("rows", split)] if split == EXPORT else [])]
        wanted += [_Role(kind, split, part) for part in parts for kind in ("images", "labels")]
        absent = [role for role in wanted if role not in self.files]
        if not absent:
            return _from_idx(split, {role: self.files[role][0] for role in wanted})
        matlab_files = self.files.get(_Role("matlab", split), []) if matlab else []
        if len(matlab_files) == 1:
            return _from_matlab(matlab_files[0], split)
        if matlab_files:
            raise MismatchError(self.place, f"has several .mat files of the split {split}", "Name the one to read")
        if len(absent) == len(wanted):
            raise MissingError(self.place, f"has no files of the split {split}", self._remedy())
        raise MissingError(self.place, f"lacks {', '.join(map(_expected, absent))}", "Put them beside the others")

    def _default(self) -> str:
        splits = {role.split for role in self.files}
        return splits.pop() if len(splits) == 1 else DEFAULT_SPLIT

    def _remedy(self) -> str:
        splits = [split for split in SPLITS if any(role.split == split for role in self.files)]
        return f"It has {', '.join(splits)}" if splits else "Name the folder that has EMNIST's files"


def file_name(kind: str, split: str, part: str | None = None) -> str:
    """Return how EMNIST names a file of ``images`` or ``labels``, or the ``mapping``; ``rows`` are our own."""
    match kind:
        case "mapping":
            return f"emnist-{split}-mapping.txt"
        case "rows":
            return f"emnist-{split}-labels.jsonl.gz"
        case _:
            return f"emnist-{split}-{part}-{kind}-idx{3 if kind == 'images' else 1}-ubyte.gz"


def _expected(role: _Role) -> str:
    return file_name(role.kind, role.split, role.part)


def _by_role(named: Iterable[tuple[str, StoredFile]]) -> dict[_Role, list[StoredFile]]:
    files: dict[_Role, list[StoredFile]] = {}
    for name, file in named:
        if role := _role_of(name):
            files.setdefault(role, []).append(file)
    return files


def _members(archive: Path) -> list[tuple[str, StoredFile]]:
    try:
        with zipfile.ZipFile(archive) as file:
            names = sorted(file.namelist())
    except FAULTS as fault:
        raise DamagedError(archive, f"can't be opened as a zip ({fault})", RENEW) from fault
    return [(name.rpartition("/")[2], _in_zip(archive, name)) for name in names]


def _from_idx(split: str, files: Mapping[_Role, StoredFile]) -> EmnistSource:
    mapping_file = files[_Role("mapping", split)]
    mapping = _Mapping.of_text(mapping_file)
    labels: dict[Part, NDArray[np.str_]] = {}
    batches: dict[Part, Callable[[int], Iterator[NDArray[np.uint8]]]] = {}
    for part in PARTS:
        labels_file, images_file = (files.get(_Role(kind, split, part)) for kind in ("labels", "images"))
        if labels_file is None or images_file is None:
            continue
        labels[part] = mapping.characters(labels_file, read_labels(labels_file))
        if (images := check_images(images_file)) != len(labels[part]):
            raise MismatchError(
                images_file.name,
                f"has {images:,} images, but {labels_file.name} has {len(labels[part]):,} labels",
                "Take both files from the same download",
            )
        batches[part] = partial(read_images, images_file)
    rows_file = files.get(_Role("rows", split))
    rows = _matching_rows(rows_file, files, labels) if rows_file else None
    return EmnistSource(split, mapping.classes, labels, batches, rows)


def _matching_rows(
    file: StoredFile, files: Mapping[_Role, StoredFile], labels: Mapping[Part, NDArray[np.str_]]
) -> Rows:
    """Read rows and make sure that they speak of these labels and pictures."""
    rows, remedy = read_rows(file), "Take all files from the same export"
    for part, found in labels.items():
        images, said = files[_Role("images", EXPORT, part)], rows.parts[part]
        if len(said) != len(found):
            raise MismatchError(file.name, f"has {len(said):,} rows for the {len(found):,} of {images.name}", remedy)
        if said.labels != found.tolist():
            raise MismatchError(file.name, f"has other labels than those that go with {images.name}", remedy)
        if (place := _first_strange(images, said)) is not None:
            raise MismatchError(file.name, f"speaks of another picture at {place + 1:,} of {images.name}", remedy)
    return rows


def _first_strange(file: StoredFile, rows: PartRows) -> int | None:
    """Return the place of the first picture that is not the one its row speaks of."""
    pictures = (image for batch in read_images(file, _CHECKED_AT_ONCE) for image in _upright(batch))
    strange = (place for place, picture in enumerate(pictures) if digest(picture.tobytes()) != rows.digest(place))
    return next(strange, None)


def _from_matlab(file: StoredFile, split: str) -> EmnistSource:
    content = read_matlab(file)
    mapping = _Mapping.of_rows(file, content.mapping.tolist())
    parts = {part: content.parts[part] for part in PARTS}
    return EmnistSource(
        split,
        mapping.classes,
        {part: mapping.characters(file, content.labels) for part, content in parts.items()},
        {part: partial(_slices, content) for part, content in parts.items()},
    )


def _slices(content: MatlabPart, size: int) -> Iterator[NDArray[np.uint8]]:
    return (content.images[start : start + size] for start in range(0, len(content.images), size))


@dataclass(frozen=True)
class _Mapping:
    """Which character each label number means; the empty one is no label."""

    numbers: tuple[int, ...]
    meanings: tuple[str, ...]

    @property
    def classes(self) -> tuple[str, ...]:
        return tuple(filter(None, self.meanings))

    @classmethod
    def of_text(cls, file: StoredFile) -> "_Mapping":
        with reading(file) as stream:
            text = stream.read(_MOST_MAPPING_BYTES)
        try:
            rows = [
                [int(word) for word in line.split()]
                for line in text.removeprefix(codecs.BOM_UTF8).decode("ascii").splitlines()
                if line.strip()
            ]
        except ValueError as fault:
            raise DamagedError(file.name, "is not a table of numbers", RENEW) from fault
        return cls.of_rows(file, rows)

    @classmethod
    def of_rows(cls, file: StoredFile, rows: list[list[int]]) -> "_Mapping":
        """Take rows of a label and the codes of its characters; the first, a capital where both are given, names it.

        The code 0, which is no character, stands for glyphs without a label. EMNIST has none.
        """
        if not rows or any(len(row) < 2 or not (33 <= row[1] <= 126 or row[1] == 0) for row in rows):
            raise DamagedError(file.name, "does not map labels to characters", "Use the mapping file of EMNIST")
        numbers, meanings = tuple(row[0] for row in rows), tuple(chr(row[1]) if row[1] else "" for row in rows)
        if len(set(numbers)) < len(rows) or len(set(meanings)) < len(rows):
            raise DamagedError(file.name, "maps a label or a character twice", "Use the mapping file of EMNIST")
        return cls(numbers, meanings)

    def characters(self, file: StoredFile, labels: NDArray[np.integer]) -> NDArray[np.str_]:
        """Translate label numbers, (n,), to characters, (n,)."""
        order = np.argsort(self.numbers)
        numbers, meanings = np.array(self.numbers)[order], np.array(self.meanings, np.str_)[order]
        places = np.searchsorted(numbers, labels).clip(max=len(numbers) - 1)
        strange = labels[numbers[places] != labels]
        if len(strange):
            raise MismatchError(
                file.name, f"has the label {strange[0]}, which the mapping lacks", "Use the mapping file of its split"
            )
        return np.asarray(meanings[places], np.str_)
