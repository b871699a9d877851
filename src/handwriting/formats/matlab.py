"""EMNIST as a MATLAB 5 file: one struct ``dataset`` with ``train``, ``test`` and ``mapping``.

Of the format (MathWorks, "MAT-File Format", 2019) this reads what EMNIST uses: structs of structs of plain arrays,
compressed or not. Unlike IDX it can't be streamed: images stand column by column, so the first is whole only at the
end. All of it is held in memory once, 640 MB for the largest split; no size that a file claims makes it more.
"""

import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from handwriting.formats.errors import DamagedError
from handwriting.formats.idx import LIMIT, PIXELS, RENEW, StoredFile, reading

_MOST_BYTES = LIMIT * (PIXELS + 16)
_HEADER = 128
_BLOCK = 1 << 16

_MATRIX, _COMPRESSED = 14, 15
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_STRUCT = 2
_NUMERIC = range(6, 16)

Value = dict[str, Any] | NDArray[Any]


@dataclass(frozen=True)
class MatlabPart:
    """Images as stored, (n, 784), and their labels, (n,)."""

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]


@dataclass(frozen=True)
class MatlabFile:
    """The two parts by name, and the mapping's rows: a label, then the codes of its characters."""

    parts: dict[str, MatlabPart]
    mapping: NDArray[np.int64]


def read_matlab(file: StoredFile) -> MatlabFile:
    """Read and check the whole file."""
    with reading(file) as stream:
        data = stream.read(_MOST_BYTES)
    try:
        variables = dict(_variables(memoryview(data)))
        dataset = variables["dataset"]
        parts = {part: _part(dataset[part]) for part in ("train", "test")}
        return MatlabFile(parts, _integers(dataset["mapping"]))
    except zlib.error as fault:
        raise DamagedError(file.name, f"can't be unpacked ({fault})", RENEW) from fault
    except KeyError as fault:
        raise DamagedError(file.name, f"has no {fault}, as EMNIST's files have", RENEW) from fault
    except (IndexError, RecursionError, TypeError, ValueError) as fault:
        raise DamagedError(file.name, f"is not a whole MATLAB 5 file of EMNIST's ({fault})", RENEW) from fault


def _part(struct: Any) -> MatlabPart:
    images, labels = struct["images"], _integers(struct["labels"]).ravel()
    if images.dtype != np.uint8 or images.shape != (len(labels), PIXELS):
        raise ValueError(f"{len(labels):,} labels, but images of shape {images.shape} and type {images.dtype}")
    return MatlabPart(images, labels)


def _integers(array: NDArray[Any]) -> NDArray[np.int64]:
    with np.errstate(invalid="ignore"):
        integers = array.astype(np.int64)
    if not np.array_equal(integers, array):
        raise ValueError("a label is not a whole number")
    return integers


@dataclass
class _Elements:
    """The elements of a file or of one of its matrices, one after the other."""

    data: memoryview
    order: Literal["little", "big"]
    position: int = 0

    def __bool__(self) -> bool:
        return self.position < len(self.data)

    def next(self, *, padded: bool = True) -> tuple[int, memoryview]:
        """Return the kind and the content of the next element."""
        word = self._number()
        if word >> 16:
            # Up to four bytes stand in the tag itself.
            content = self._take(4)
            if word >> 16 > 4:
                raise ValueError("a short element is too long")
            return word & 0xFFFF, content[: word >> 16]
        length = self._number()
        content = self._take(length)
        if padded:
            self.position = min(len(self.data), self.position + -length % 8)
        return word, content

    def _number(self) -> int:
        return int.from_bytes(self._take(4), self.order)

    def _take(self, length: int) -> memoryview:
        content = self.data[self.position : self.position + length]
        if len(content) < length:
            raise ValueError(f"it ends {length - len(content):,} bytes early")
        self.position += length
        return content


def _variables(data: memoryview) -> Iterator[tuple[str, Value]]:
    """Yield the variables of the file by their names."""
    if len(data) <= _HEADER:
        raise ValueError("it is too short")
    elements = _Elements(data, "little" if bytes(data[126:128]) == b"IM" else "big", _HEADER)
    left = _MOST_BYTES
    while elements:
        kind, content = elements.next(padded=False)
        if kind == _COMPRESSED:
            content = _unpacked(content, left)
            left -= len(content)
            kind, content = _Elements(content, elements.order).next()
        if kind != _MATRIX:
            raise ValueError(f"an element of kind {kind} stands where a variable should")
        yield _matrix(content, elements.order)


def _unpacked(content: memoryview, most: int) -> memoryview:
    inflater, unpacked = zlib.decompressobj(), bytearray()
    for start in range(0, len(content), _BLOCK):
        rest: bytes | memoryview = content[start : start + _BLOCK]
        while len(unpacked) <= most and (block := inflater.decompress(rest, _BLOCK)):
            unpacked += block
            rest = inflater.unconsumed_tail
    if len(unpacked) > most:
        raise ValueError("it unpacks to more than any EMNIST file")
    if not inflater.eof:
        raise ValueError("a compressed element is cut short")
    return memoryview(unpacked)


def _matrix(data: memoryview, order: Literal["little", "big"]) -> tuple[str, Value]:
    """Return the name and the value of a matrix: the fields of a struct, or an array in MATLAB's order."""
    elements = _Elements(data, order)
    flags, shape_data, name = (elements.next()[1] for _ in range(3))
    kind = int.from_bytes(flags[:4], order) & 0xFF
    shape = np.frombuffer(shape_data, _dtype(5, order)).tolist()
    if kind == _STRUCT and prod(shape) == 1:
        return bytes(name).decode("ascii"), _fields(elements, order)
    if kind not in _NUMERIC:
        raise ValueError(f"it has a matrix of class {kind} and shape {shape}")
    # MATLAB stores numbers as small as they fit, whatever the class of the array is.
    number, content = elements.next()
    return bytes(name).decode("ascii"), np.frombuffer(content, _dtype(number, order)).reshape(shape, order="F")


def _fields(elements: _Elements, order: Literal["little", "big"]) -> dict[str, Any]:
    width = int.from_bytes(elements.next()[1], order)
    names = bytes(elements.next()[1])
    fields = [names[start : start + width].rstrip(b"\0").decode("ascii") for start in range(0, len(names), width)]
    return {field: _matrix(elements.next()[1], order)[1] for field in fields}


def _dtype(number: int, order: Literal["little", "big"]) -> np.dtype[Any]:
    if number not in _NUMBERS:
        raise ValueError(f"it has numbers of an unknown kind, {number}")
    return np.dtype(("<" if order == "little" else ">") + _NUMBERS[number])
