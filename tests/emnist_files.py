"""Writes small data sets in each of EMNIST's formats, for tests to read back."""

import gzip
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.io import savemat

BALANCED = [(i, ord(c)) for i, c in enumerate("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabdefghnqrt")]
BYCLASS = [(i, ord(c)) for i, c in enumerate("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")]
LETTERS = [(i + 1, 65 + i, 97 + i) for i in range(26)]
DIGITS = [(i, 48 + i) for i in range(10)]

Rows = list[tuple[int, ...]]


@dataclass
class Glyphs:
    """Upright pictures (n, 28, 28) and their label numbers."""

    images: NDArray[np.uint8]
    labels: NDArray[np.uint8]


def some_glyphs(count: int, *, seed: int = 0, rows: Rows = BALANCED) -> Glyphs:
    rng = np.random.default_rng(seed)
    numbers = np.array([row[0] for row in rows], np.uint8)
    return Glyphs(rng.integers(0, 256, (count, 28, 28), np.uint8), rng.choice(numbers, count))


def characters(glyphs: Glyphs, rows: Rows = BALANCED) -> list[str]:
    meaning = {row[0]: chr(row[1]) for row in rows}
    return [meaning[number] for number in glyphs.labels.tolist()]


def idx_images(images: NDArray[np.uint8], *, magic: int = 0x803, count: int | None = None) -> bytes:
    stored = images.transpose(0, 2, 1)
    header = (magic, len(images) if count is None else count, *images.shape[1:])
    return b"".join(number.to_bytes(4, "big") for number in header) + stored.tobytes()


def idx_labels(labels: NDArray[np.uint8], *, magic: int = 0x801, count: int | None = None) -> bytes:
    header = (magic, len(labels) if count is None else count)
    return b"".join(number.to_bytes(4, "big") for number in header) + labels.tobytes()


def split_files(split: str, parts: Mapping[str, Glyphs], rows: Rows = BALANCED) -> dict[str, bytes]:
    """The plain files of a split by their names."""
    files = {f"emnist-{split}-mapping.txt": "".join(f"{' '.join(map(str, row))}\n" for row in rows).encode()}
    for part, glyphs in parts.items():
        files[f"emnist-{split}-{part}-images-idx3-ubyte"] = idx_images(glyphs.images)
        files[f"emnist-{split}-{part}-labels-idx1-ubyte"] = idx_labels(glyphs.labels)
    return files


def gzipped(files: Mapping[str, bytes]) -> dict[str, bytes]:
    return {name if name.endswith(".txt") else f"{name}.gz": _packed(name, data) for name, data in files.items()}


def _packed(name: str, data: bytes) -> bytes:
    return data if name.endswith(".txt") else gzip.compress(data, 1, mtime=0)


def write(folder: Path, files: Mapping[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def write_zip(path: Path, files: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(f"gzip/{name}", data)
    return path


def write_matlab(path: Path, parts: Mapping[str, Glyphs], rows: Rows = BALANCED, *, compress: bool = True) -> Path:
    structs = {
        part: {
            "images": glyphs.images.transpose(0, 2, 1).reshape(len(glyphs.images), 784),
            "labels": glyphs.labels.reshape(-1, 1),
        }
        for part, glyphs in parts.items()
    }
    savemat(path, {"dataset": structs | {"mapping": np.array(rows, np.uint8)}}, do_compression=compress)
    return path
