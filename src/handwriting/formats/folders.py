"""Folders of pictures, each picture labelled by the name of a folder around it, or by none."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from handwriting.alphabet import Alphabet
from handwriting.formats.errors import MissingError

SUFFIXES = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp"})
"""Files with other endings are passed over."""


@dataclass(frozen=True)
class LabelledPicture:
    """A picture's file and the character it shows, None where no folder tells."""

    path: Path
    label: str | None


def find_pictures(folder: Path, alphabet: Alphabet) -> list[LabelledPicture]:
    """Return every picture below ``folder``, in the order of their paths.

    The nearest folder that names a class labels a picture, so that ``A/``, ``41/train_41/`` and ``writer-7/A/`` will
    all do; hidden files and folders are passed over.

    Raises:
        FormatError: there is no folder, or no picture in it.
    """
    if not folder.is_dir():
        raise MissingError(folder, "there is no such folder", "Check the path")
    found = [LabelledPicture(path, _nearest_label(path, folder, alphabet)) for path in picture_files(folder)]
    if not found:
        raise MissingError(folder, "holds no pictures", f"Pictures end in {', '.join(sorted(SUFFIXES))}")
    return found


def picture_files(folder: Path) -> Iterator[Path]:
    """Yield every picture below ``folder``, sorted folder by folder; hidden files and folders are passed over."""
    for place, subfolders, names in os.walk(folder):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES:
                yield Path(place, name)


def label_of(name: str, alphabet: Alphabet) -> str | None:
    """Return the character that a folder's name stands for, or None.

    It is the character itself or its code in two hexadecimal digits (``41`` for A, ``61`` for a), as in NIST's own
    folders, for file systems that can't tell ``A`` from ``a``.
    """
    character = name
    if len(name) == 2:
        try:
            character = bytes.fromhex(name).decode("ascii")
        except ValueError:
            return None
    return character if alphabet.class_of(character) else None


def _nearest_label(path: Path, folder: Path, alphabet: Alphabet) -> str | None:
    # The folder's own name counts too: one may import a single class.
    names = [folder.resolve().name, *path.relative_to(folder).parent.parts]
    return next((label for name in reversed(names) if (label := label_of(name, alphabet))), None)
