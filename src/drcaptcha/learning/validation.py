"""What networks say of the glyphs that they never learned from: kept beside each, so that weights can be tried at once.

The validation glyphs of an ensemble are those that none of its members has learned. Since the digest of a glyph decides
(``Labels.held``), networks that were trained at different times share them.
"""

import io
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce

import numpy as np
from django.core.files.base import ContentFile
from numpy.typing import NDArray

from drcaptcha.errors import NotPossible
from drcaptcha.glyphs.models import Split
from drcaptcha.learning import examples, registry, snapshots
from drcaptcha.learning.examples import Labels
from drcaptcha.learning.models import Network

FEWEST = 200
"""Validation glyphs that a temperature or weights need."""

MOST_READ = 16
"""Files kept in memory by a process: about half a megabyte each."""


@dataclass(frozen=True)
class Opinions:
    """Glyphs by ``keys`` ``(n,)``, in order, with class indices ``(n,)`` and what a network says ``(n, classes)``."""

    keys: NDArray[np.int64]
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float16]

    def to_bytes(self) -> bytes:
        """Return the file: NumPy's archive, without pickle."""
        file = io.BytesIO()
        np.savez(file, keys=self.keys, labels=self.labels, probabilities=self.probabilities)
        return file.getvalue()


@dataclass(frozen=True)
class Common:
    """What several networks say of the glyphs that none of them has learned: ``(m, n, classes)``, and the labels."""

    probabilities: NDArray[np.float16]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.labels)


def refresh(networks: Sequence[Network]) -> None:
    """Bring what each of ``networks`` says of its validation glyphs up to the labels of today.

    Raises:
        InferenceError: a network's file can't be read.
    """
    known: dict[str, Labels] = {}
    for network in networks:
        if network.classes not in known:
            known[network.classes] = examples.labelled(examples.alphabet_of(network.classes), Split.TRAIN)
        _refresh(network, known[network.classes])


def of(networks: Sequence[Network]) -> Common:
    """Return what ``networks``, which tell the same classes apart, said of the glyphs that none of them has learned.

    Raises:
        NotPossible: a file can't be read.
    """
    files = [_opinions(network) for network in networks]
    there = [file for file in files if file is not None]
    classes = len(networks[0].classes) if networks else 0
    if not networks or len(there) < len(files):
        return Common(np.empty((len(networks), 0, classes), np.float16), np.empty(0, np.int64))
    keys = reduce(np.intersect1d, [file.keys for file in there])
    chosen = [file.probabilities[np.searchsorted(file.keys, keys)] for file in there]
    latest = there[-1]  # Refreshed together, all have the same labels; between two refreshes any will do.
    return Common(np.stack(chosen), latest.labels[np.searchsorted(latest.keys, keys)])


def learned_counts(networks: Sequence[Network]) -> NDArray[np.int64]:
    """Count the glyphs that ``networks`` learned from, by class."""
    classes = len(networks[0].classes)
    counts = np.zeros(classes, np.int64)
    for network in networks:
        snapshot = snapshots.of(network)
        if snapshot is not None:
            counts += np.bincount(snapshot.labels[~snapshot.held], minlength=classes)
    return counts


def _refresh(network: Network, known: Labels) -> None:
    snapshot = snapshots.of(network)
    if snapshot is None:  # It may have learned any that has a label.
        return
    wanted = known[_unlearned(known, snapshot)]
    before = _opinions(network)
    if before is not None and _same(before, wanted):
        return
    said = np.empty((len(wanted), len(network.classes)), np.float16)
    old = np.isin(wanted.keys, before.keys) if before is not None else np.zeros(len(wanted), bool)
    if before is not None:
        said[old] = before.probabilities[np.searchsorted(before.keys, wanted.keys[old])]
    pictures = examples.pictures(wanted.keys[~old])
    said[~old] = registry.classifier(network, threads=0).probabilities(pictures)
    _store(network, Opinions(wanted.keys, wanted.labels, said))


def _unlearned(known: Labels, snapshot: snapshots.Snapshot) -> NDArray[np.bool_]:
    """Mark the glyphs that are held out, by the rule of today or by that of the snapshot, and were not learned."""
    held = known.held | np.isin(known.keys, snapshot.keys[snapshot.held])
    unlearned: NDArray[np.bool_] = held & ~np.isin(known.keys, snapshot.keys[~snapshot.held])
    return unlearned


def _same(before: Opinions, wanted: Labels) -> bool:
    return np.array_equal(before.keys, wanted.keys) and np.array_equal(before.labels, wanted.labels)


def _store(network: Network, opinions: Opinions) -> None:
    """Store the file under a new name, so that whoever has read the old one notices.

    Where another process has stored one since this one read the old, that one stays.
    """
    former = network.validation.name or ""
    network.validation.save(f"validation-{secrets.token_hex(4)}.npz", ContentFile(opinions.to_bytes()), save=False)
    stored = str(network.validation.name)
    first = Network.objects.filter(pk=network.pk, validation=former).update(validation=stored)
    if former or not first:
        network.validation.storage.delete(former if first else stored)
    if not first:
        network.refresh_from_db(fields=["validation"])


def _opinions(network: Network) -> Opinions | None:
    """Return what is kept of ``network``: from the new file, where another process has replaced the one of its row."""
    if not network.validation:
        return None
    try:
        return _read(network.validation.path)
    except NotPossible:
        former = network.validation.name
        network.refresh_from_db(fields=["validation"])
        if not network.validation or network.validation.name == former:
            raise
        return _read(network.validation.path)


@lru_cache(maxsize=MOST_READ)
def _read(path: str) -> Opinions:
    try:
        with np.load(path, allow_pickle=False) as stored:
            return Opinions(stored["keys"], stored["labels"], stored["probabilities"])
    except (OSError, ValueError, KeyError) as fault:
        raise NotPossible(f"{path} can't be read: {fault}. Evaluate the ensemble again.") from fault
