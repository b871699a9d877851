"""Which glyphs a network learned from, with the labels that they had then: kept with it as one file of arrays."""

import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from drcaptcha.errors import NotPossible
from drcaptcha.learning.models import Network


@dataclass(frozen=True)
class Snapshot:
    """Keys of glyphs ``(n,)``, in order, with class indices ``(n,)``; ``held`` marks those kept for validation."""

    keys: NDArray[np.int64]
    labels: NDArray[np.int16]
    held: NDArray[np.bool_]

    def to_bytes(self) -> bytes:
        """Return the file: NumPy's compressed archive, without pickle."""
        file = io.BytesIO()
        np.savez_compressed(file, keys=self.keys, labels=self.labels, held=self.held)
        return file.getvalue()


def of(network: Network) -> Snapshot | None:
    """Return what a network learned from, or None for one that was trained before snapshots were kept.

    Raises:
        NotPossible: the file can't be read.
    """
    if not network.snapshot:
        return None
    try:
        with network.snapshot.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            return Snapshot(stored["keys"], stored["labels"], stored["held"])
    except (OSError, ValueError, KeyError) as fault:
        raise NotPossible(f"The snapshot of {network} can't be read: {fault}. Train it again.") from fault
