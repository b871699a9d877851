"""IDX, the file format of MNIST and EMNIST: a header of big-endian numbers, then one byte a value.

Files are read as streams, plain or gzipped, from disk or out of a zip. A header is never trusted with memory: it says
how much may be read, and a file with less or more than that is damaged.
"""

import gzip
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Protocol

import numpy as np
from numpy.typing import NDArray

from handwriting.formats.errors import DamagedError

IMAGES = 0x803
LABELS = 0x801
SIDE = 28
PIXELS = SIDE * SIDE

LIMIT = 2_000_000
"""More glyphs than any file of EMNIST holds (814,255); a larger count is a broken or a hostile header."""

FAULTS = (EOFError, OSError, RuntimeError, zipfile.BadZipFile, zlib.error)
"""What disks, zips and gzips raise."""

RENEW = "Download or copy the file again"

_GZIP = b"\x1f\x8b"
_BLOCK = 1 << 20


class Stream(Protocol):
    """What is asked of an open file."""

    def read(self, size: int, /) -> bytes: ...

    def readline(self, size: int, /) -> bytes: ...


@dataclass(frozen=True)
class StoredFile:
    """A file on disk or in an archive; ``name`` is what messages call it."""

    name: str
    open: Callable[[], IO[bytes]]


@contextmanager
def reading(file: StoredFile) -> Iterator[Stream]:
    """Open ``file``, unzipped; whatever disk, zip or gzip complain of becomes a DamagedError."""
    try:
        with file.open() as raw:
            zipped = raw.read(2) == _GZIP
            raw.seek(0)
            if not zipped:
                yield raw
                return
            with gzip.open(raw) as stream:
                yield stream
    except FAULTS as fault:
        raise DamagedError(file.name, f"can't be read ({fault})", RENEW) from fault


def header(magic: int, *shape: int) -> bytes:
    """Return what stands before the values: ``shape`` begins with how many images or labels there are."""
    return b"".join(number.to_bytes(4, "big") for number in (magic, *shape))


def read_labels(file: StoredFile) -> NDArray[np.uint8]:
    """Return all labels, shape (n,)."""
    with reading(file) as stream:
        (count,) = _header(stream, file, LABELS)
        data = stream.read(count + 1)
    _check_length(file, len(data), count)
    return np.frombuffer(data, np.uint8)


def check_images(file: StoredFile) -> int:
    """Read the whole file, checksum and all, without keeping it; return how many images it holds."""
    with reading(file) as stream:
        count, *shape = _header(stream, file, IMAGES)
        if shape != [SIDE, SIDE]:
            raise DamagedError(
                file.name, f"its images are {shape[0]}×{shape[1]}, not {SIDE}×{SIDE}", "Use EMNIST's files"
            )
        length, expected = 0, count * PIXELS
        while length <= expected and (block := stream.read(_BLOCK)):
            length += len(block)
    _check_length(file, length, expected)
    return count


def read_images(file: StoredFile, size: int) -> Iterator[NDArray[np.uint8]]:
    """Yield the images as they are stored, (n, 784) with n at most ``size``."""
    with reading(file) as stream:
        left, *_ = _header(stream, file, IMAGES)
        while left:
            count = min(size, left)
            data = stream.read(count * PIXELS)
            _check_length(file, len(data), count * PIXELS)
            yield np.frombuffer(data, np.uint8).reshape(count, PIXELS)
            left -= count


def _header(stream: Stream, file: StoredFile, magic: int) -> list[int]:
    dimensions = magic & 0xFF
    data = stream.read(4 * (1 + dimensions))
    numbers = [int.from_bytes(data[i : i + 4], "big") for i in range(0, len(data), 4)]
    if len(data) < 4 * (1 + dimensions) or numbers[0] != magic:
        kind = "images" if magic == IMAGES else "labels"
        raise DamagedError(file.name, f"does not begin like an IDX file of {kind}", RENEW)
    if numbers[1] > LIMIT:
        raise DamagedError(file.name, f"its header counts {numbers[1]:,} glyphs, more than any EMNIST file", RENEW)
    return numbers[1:]


def _check_length(file: StoredFile, length: int, expected: int) -> None:
    if length < expected:
        raise DamagedError(file.name, f"ends {expected - length:,} bytes before what its header counts", RENEW)
    if length > expected:
        raise DamagedError(file.name, "goes on after all that its header counts", RENEW)
