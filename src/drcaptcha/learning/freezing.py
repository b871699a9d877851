"""What a training learns, frozen when it begins: the labels of that moment, in one file of arrays.

Where visitors vote, labels change all the time. A training that was broken off goes on with those that it began with.
"""

import logging
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from drcaptcha.glyphs.models import Glyph
from drcaptcha.learning import examples
from drcaptcha.learning.examples import Examples, Labels
from drcaptcha.learning.models import Network
from drcaptcha.learning.signals import shares_wanted
from handwriting.alphabet import Alphabet

_BATCH = 5_000

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Frozen:
    """Labels as they stood when a training began, chosen of so many that were ``available``.

    Of those that votes gave, in their order, ``shares`` ``(v, classes)`` say how likely each class is, and ``counts``
    ``(v,)`` how much the glyph counts.
    """

    known: Labels
    available: int
    shares: NDArray[np.float32]
    counts: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.known)

    @property
    def soft(self) -> tuple[NDArray[np.float32] | None, NDArray[np.float32] | None]:
        """Soft labels ``(n, classes)`` and how much each glyph counts ``(n,)``, where votes say more than one label."""
        known, voted = self.known, self.known.voted
        if not voted.any():
            return None, None
        targets = np.eye(self.shares.shape[1], dtype=np.float32)[known.labels]
        weights = np.ones(len(known), np.float32)
        targets[voted], weights[voted] = self.shares, self.counts
        return targets, weights

    def without_deleted(self) -> "Frozen":
        """Return the same without the glyphs that are not there any more."""
        there = dict(_there(self.known.keys))
        pairs = zip(self.known.keys.tolist(), self.known.digests, strict=True)
        left = np.array([there.get(key) == digest.tobytes() for key, digest in pairs], bool)
        voted = left[self.known.voted]
        return replace(self, known=self.known[left], shares=self.shares[voted], counts=self.counts[voted])

    def examples(self) -> Examples:
        """Read the pictures."""
        return Examples(examples.pictures(self.known.keys), self.known, self.available)

    def write(self, path: Path) -> None:
        """Write the file, whole or not at all: NumPy's compressed archive, without pickle."""
        path.parent.mkdir(parents=True, exist_ok=True)
        known, beside = self.known, path.with_suffix(".part")
        with beside.open("wb") as file:
            np.savez_compressed(
                file,
                keys=known.keys,
                labels=known.labels,
                digests=known.digests,
                voted=known.voted,
                available=np.array(self.available),
                shares=self.shares,
                counts=self.counts,
            )
        beside.replace(path)


def freeze(alphabet: Alphabet, *, subset: int | None, rng: np.random.Generator, truth: bool = False) -> Frozen:
    """Return the labels of this moment that ``examples.chosen`` chooses, and what the votes say of each.

    Raises:
        NotPossible: there are none, or fewer than a network can learn from.
    """
    known, available = examples.chosen(alphabet, subset=subset, rng=rng, truth=truth)
    voted = known.labels[known.voted]
    plain = np.eye(len(alphabet), dtype=np.float32)[voted], np.ones(len(voted), np.float32)
    said: list[tuple[Any, Any]] = shares_wanted.send(Network, keys=known.keys[known.voted]) if len(voted) else []
    return Frozen(known, available, *(said[0][1] if said else plain))


def read(path: Path) -> Frozen | None:
    """Return what was written there, or None where there is nothing that can be read."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            known = Labels(stored["keys"], stored["labels"], stored["digests"], stored["voted"])
            return Frozen(known, int(stored["available"]), stored["shares"], stored["counts"])
    except FileNotFoundError:
        return None
    except (OSError, EOFError, KeyError, ValueError, BadZipFile, zlib.error) as fault:
        _log.warning("The frozen labels %s can't be read, so the training starts anew: %s", path, fault)
        return None


def _there(keys: NDArray[np.int64]) -> Iterator[tuple[int, bytes]]:
    """Yield key and digest of the glyphs that are there."""
    for start in range(0, len(keys), _BATCH):
        batch = keys[start : start + _BATCH].tolist()
        rows = Glyph.objects.filter(pk__in=batch).values_list("pk", "digest")
        yield from ((key, bytes(digest)) for key, digest in rows)
