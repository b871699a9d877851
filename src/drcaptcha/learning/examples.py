"""Labelled glyphs as arrays: what networks learn from, and what they are judged by."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drcaptcha.errors import NotPossible
from drcaptcha.glyphs.models import SIDE, Glyph, GlyphQuerySet, Split, usable_label
from handwriting.alphabet import ALPHABETS, Alphabet

_BATCH = 5_000


@dataclass(frozen=True)
class Examples:
    """Glyphs ``(n, 28, 28)`` in uint8, the class index of each, and their keys, in the order of the keys."""

    glyphs: NDArray[np.uint8]
    labels: NDArray[np.int64]
    keys: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)


def training(alphabet: Alphabet, *, subset: int | None, rng: np.random.Generator) -> Examples:
    """Return the labelled training glyphs, or ``subset`` of them chosen at random.

    Raises:
        NotPossible: there are none, or fewer than a network can learn from.
    """
    if subset is not None and subset < 2:
        raise NotPossible("A subset needs at least 2 glyphs: one to learn from, one to validate with.")
    examples = _read(Glyph.objects.filter(split=Split.TRAIN).labelled(), alphabet, subset, rng)
    if len(examples) < 2:
        raise NotPossible(
            f"There are {len(examples)} labelled training glyphs. Import a labelled data set with importemnist first."
        )
    return examples


def judging(alphabet: Alphabet) -> Examples:
    """Return all labelled test glyphs.

    Raises:
        NotPossible: there are none, so nothing could be said about a network.
    """
    examples = _read(Glyph.objects.filter(split=Split.TEST).labelled(), alphabet, None, np.random.default_rng(0))
    if not len(examples):
        raise NotPossible(
            f"There are no labelled test glyphs of the alphabet {alphabet.name} to judge by. "
            "Import a data set that has a test part with importemnist first."
        )
    return examples


def alphabet_of(classes: str) -> Alphabet:
    """Return the alphabet of these classes, in this order.

    Raises:
        NotPossible: no alphabet has them.
    """
    for alphabet in ALPHABETS.values():
        if "".join(alphabet.classes) == classes:
            return alphabet
    raise NotPossible(f"No alphabet has the classes {classes}.")


def _read(glyphs: GlyphQuerySet, alphabet: Alphabet, subset: int | None, rng: np.random.Generator) -> Examples:
    """Read labels first and then only the pictures that are wanted, in the order of their keys."""
    keys, labels = _labels(glyphs, alphabet)
    if subset is not None and subset < len(keys):
        chosen = np.sort(rng.choice(len(keys), subset, replace=False))
        keys, labels = keys[chosen], labels[chosen]
    pictures = np.empty((len(keys), SIDE, SIDE), np.uint8)
    for start in range(0, len(keys), _BATCH):
        batch = keys[start : start + _BATCH].tolist()
        rows = Glyph.objects.filter(pk__in=batch).order_by("pk").values_list("picture", flat=True)
        pictures[start : start + _BATCH] = np.frombuffer(b"".join(rows), np.uint8).reshape(-1, SIDE, SIDE)
    return Examples(pictures, labels, keys)


def _labels(glyphs: GlyphQuerySet, alphabet: Alphabet) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the keys of the glyphs whose label says something in this alphabet, and their class indices."""
    pairs = []
    for key, label, caseless in glyphs.order_by("pk").values_list("pk", "label", "data_set__caseless").iterator():
        usable = usable_label(label, alphabet, caseless=caseless)
        if usable is not None:
            pairs.append((key, alphabet.index(usable)))
    table = np.array(pairs, np.int64).reshape(-1, 2)
    return table[:, 0], table[:, 1]
