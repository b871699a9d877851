"""Labelled glyphs as arrays: what networks learn from, and what they are judged by."""

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drcaptcha.errors import NotPossible
from drcaptcha.glyphs.models import SIDE, Glyph, Split, usable_label
from handwriting.alphabet import ALPHABETS, Alphabet

_BATCH = 5_000

FEWEST = 2
"""Glyphs that a network needs: one to learn from, one to validate with."""

VALIDATION_SHARE = 0.05
"""Share of the training glyphs that no network ever learns from."""


@dataclass(frozen=True)
class Labels:
    """Labelled glyphs without their pictures, in the order of their keys.

    ``labels`` are class indices ``(n,)``, ``digests`` ``(n, 16)`` in uint8; ``voted`` ``(n,)`` marks labels from votes.
    """

    keys: NDArray[np.int64]
    labels: NDArray[np.int64]
    digests: NDArray[np.uint8]
    voted: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, chosen: NDArray[np.bool_] | NDArray[np.integer]) -> "Labels":
        return Labels(self.keys[chosen], self.labels[chosen], self.digests[chosen], self.voted[chosen])

    @property
    def held(self) -> NDArray[np.bool_]:
        """Which are kept for validation ``(n,)``.

        The digest of a glyph decides, as it does where networks are trained (``handwriting.networks``), so those that
        are trained at different times keep the same ones. Where there are so few that all or none would be, one is.
        """
        numbers = np.ascontiguousarray(self.digests[:, :4]).view(">u4")[:, 0]
        held = numbers < VALIDATION_SHARE * 2**32
        if len(held) and (held.all() or not held.any()):
            held = np.arange(len(held)) == numbers.argmin()
        return held

    def fingerprint(self, alphabet: Alphabet) -> str:
        """Return a hash that is the same wherever these glyphs have these labels, in hexadecimal.

        It is SHA-256 of each digest and its label's character, in the order of the digests.
        """
        sha = hashlib.sha256()
        for position in self.by_digest():
            sha.update(self.digests[position].tobytes() + alphabet.classes[self.labels[position]].encode())
        return sha.hexdigest()

    def by_digest(self) -> NDArray[np.int64]:
        """Return positions in the order of the digests, which is the same in every installation."""
        return np.lexsort(self.digests.T[::-1]).astype(np.int64)


@dataclass(frozen=True)
class Examples:
    """Glyphs ``(n, 28, 28)`` in uint8 with what is known of them; ``available`` glyphs could have been chosen."""

    glyphs: NDArray[np.uint8]
    known: Labels
    available: int

    def __len__(self) -> int:
        return len(self.known)

    @property
    def labels(self) -> NDArray[np.int64]:
        """The class index of each."""
        return self.known.labels

    @property
    def keys(self) -> NDArray[np.int64]:
        """The key of each."""
        return self.known.keys


def chosen(
    alphabet: Alphabet, *, subset: int | None, rng: np.random.Generator, truth: bool = False
) -> tuple[Labels, int]:
    """Return the labels of the training glyphs, or ``subset`` of them chosen at random, and how many there were.

    With ``truth`` those whose truth is known, by that in place of their labels: what the best labels would be worth.

    Raises:
        NotPossible: there are none, or fewer than a network can learn from.
    """
    if subset is not None and subset < FEWEST:
        raise NotPossible("A subset needs at least 2 glyphs: one to learn from, one to validate with.")
    known = labelled(alphabet, Split.TRAIN, truth=truth)
    available = len(known)
    if available < FEWEST:
        raise NotPossible(
            f"There are {available} labelled training glyphs. Import a labelled data set with importemnist first."
        )
    if subset is not None and subset < available:
        known = known[np.sort(rng.choice(available, subset, replace=False))]
    return known, available


def judging(alphabet: Alphabet) -> Examples:
    """Return all labelled test glyphs.

    Raises:
        NotPossible: there are none, so nothing could be said about a network.
    """
    known = labelled(alphabet, Split.TEST)
    if not len(known):
        raise NotPossible(
            f"There are no labelled test glyphs of the alphabet {alphabet.name} to judge by. "
            "Import a data set that has a test part with importemnist first."
        )
    return Examples(pictures(known.keys), known, len(known))


def alphabet_of(classes: str) -> Alphabet:
    """Return the alphabet of these classes, in this order.

    Raises:
        NotPossible: no alphabet has them.
    """
    for alphabet in ALPHABETS.values():
        if "".join(alphabet.classes) == classes:
            return alphabet
    raise NotPossible(f"No alphabet has the classes {classes}.")


def labelled(alphabet: Alphabet, split: Split, *, truth: bool = False) -> Labels:
    """Return the glyphs of a part whose label, or truth, says something in this alphabet."""
    glyphs = Glyph.objects.filter(split=split).order_by("pk")
    glyphs = glyphs.exclude(truth="") if truth else glyphs.labelled()
    name = "truth" if truth else "label"
    rows = glyphs.values_list("pk", name, "data_set__caseless", "digest", "given").iterator()
    keys, labels, digests, voted = [], [], bytearray(), []
    for key, label, caseless, digest, given in rows:
        usable = usable_label(label, alphabet, caseless=caseless)
        if usable is not None:
            keys.append(key)
            labels.append(alphabet.index(usable))
            digests += bytes(digest)
            voted.append(not given and not truth)
    return Labels(
        np.array(keys, np.int64),
        np.array(labels, np.int64),
        np.frombuffer(bytes(digests), np.uint8).reshape(-1, 16),
        np.array(voted, bool),
    )


def pictures(keys: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Return the pictures ``(n, 28, 28)`` of glyphs that are there, whose ``keys`` are in order."""
    found = np.empty((len(keys), SIDE, SIDE), np.uint8)
    for start in range(0, len(keys), _BATCH):
        batch = keys[start : start + _BATCH].tolist()
        rows = Glyph.objects.filter(pk__in=batch).order_by("pk").values_list("picture", flat=True)
        found[start : start + _BATCH] = np.frombuffer(b"".join(map(bytes, rows)), np.uint8).reshape(-1, SIDE, SIDE)
    return found
