"""EMNIST as a MATLAB 5 file: one struct ``dataset`` with ``train``, ``test`` and ``mapping``.

Unlike IDX it can't be streamed: its images stand column by column, so the first glyph is whole only at the end. All of
it is held in memory, 640 MB for the largest split.
"""

import io
import zlib
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from handwriting.formats.errors import DamagedError
from handwriting.formats.idx import LIMIT, PIXELS, RENEW, StoredFile, reading

_COMPRESSED = 15
_HEADER = 128
_MOST_BYTES = LIMIT * (PIXELS + 16)
_BLOCK = 1 << 20


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
    # SciPy costs memory and time that a web process should not pay.
    from scipy.io import loadmat  # noqa: PLC0415
    from scipy.io.matlab import MatReadError  # noqa: PLC0415

    with reading(file) as stream:
        data = stream.read(_MOST_BYTES)
    _check_elements(file, data)
    try:
        dataset = loadmat(cast("Any", io.BytesIO(data)), variable_names=["dataset"])["dataset"][0, 0]
        parts = {part: _part(dataset[part][0, 0]) for part in ("train", "test")}
        return MatlabFile(parts, _integers(dataset["mapping"]))
    except (IndexError, KeyError, MatReadError, NotImplementedError, TypeError, ValueError) as fault:
        raise DamagedError(file.name, f"is not laid out like EMNIST's MATLAB files ({fault})", RENEW) from fault


def _part(struct: Any) -> MatlabPart:
    images, labels = struct["images"], _integers(struct["labels"]).ravel()
    if images.dtype != np.uint8 or images.shape != (len(labels), PIXELS):
        raise ValueError(f"{len(labels):,} labels, and images of shape {images.shape} and type {images.dtype}")
    return MatlabPart(images, labels)


def _integers(array: NDArray[Any]) -> NDArray[np.int64]:
    integers = array.astype(np.int64)
    if not np.array_equal(integers, array):
        raise ValueError("a label is not a whole number")
    return integers


def _check_elements(file: StoredFile, data: bytes) -> None:
    """Unpack every element once, keeping nothing, since a small file could unpack to any size."""
    view, position, unpacked = memoryview(data), _HEADER, 0
    if len(data) <= _HEADER:
        raise DamagedError(file.name, "is too short for a MATLAB file", RENEW)
    order = "little" if data[126:128] == b"IM" else "big"
    while position < len(data):
        kind = int.from_bytes(view[position : position + 4], order)  # type: ignore[arg-type]
        length = int.from_bytes(view[position + 4 : position + 8], order)  # type: ignore[arg-type]
        position += 8
        element = view[position : position + length]
        if len(element) < length:
            raise DamagedError(file.name, f"ends {length - len(element):,} bytes early", RENEW)
        if kind == _COMPRESSED:
            unpacked += _unpacked_length(file, element, _MOST_BYTES - unpacked)
        position += length


def _unpacked_length(file: StoredFile, element: memoryview, most: int) -> int:
    inflater, length, rest = zlib.decompressobj(), 0, bytes(element)
    try:
        while length <= most and (block := inflater.decompress(rest, _BLOCK)):
            length += len(block)
            rest = inflater.unconsumed_tail
    except zlib.error as fault:
        raise DamagedError(file.name, f"can't be unpacked ({fault})", RENEW) from fault
    if length > most:
        raise DamagedError(file.name, "unpacks to more than any EMNIST file", RENEW)
    if not inflater.eof:
        raise DamagedError(file.name, "has an element that is cut short", RENEW)
    return length
