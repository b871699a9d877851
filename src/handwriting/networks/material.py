"""What a network learns from, as tensors, and the honest split between learning and validation."""

from dataclasses import dataclass
from hashlib import blake2b
from typing import Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

VALIDATION_SHARE = 0.05
RAREST = 0.05
"""A class is not taken to be rarer than this share of the mean, so that a handful of glyphs can't outweigh a class."""

Glyphs = npt.NDArray[np.uint8]


def hold_out(glyphs: Glyphs) -> tuple[Tensor, Tensor]:
    """Split ``glyphs`` ``(n, 28, 28)`` into positions to train on and positions to validate on, both in order.

    The picture alone decides, by the hash under which an installation knows it: it is on the same side in every
    training, whatever else there is. So networks that are trained at different times share their validation glyphs,
    and none has learned another's. About one in twenty is held, and at least one of two.
    """
    digests = b"".join(blake2b(glyph.tobytes(), digest_size=16).digest()[:4] for glyph in glyphs)
    marks = np.frombuffer(digests, ">u4")
    held = marks < VALIDATION_SHARE * 2**32
    if held.all() or not held.any():
        held = np.arange(len(glyphs)) == marks.argmin()
    return sides(held)


def sides(held: npt.NDArray[np.bool_]) -> tuple[Tensor, Tensor]:
    """Return positions to train on and positions to validate on, where ``held`` ``(n,)`` marks the latter."""
    return torch.from_numpy(np.flatnonzero(~held)), torch.from_numpy(np.flatnonzero(held))


@dataclass(frozen=True)
class Material:
    """Glyphs uint8 ``(n, 1, 28, 28)``, class indices ``(n,)``, and where they are given the likeness of each class.

    ``targets`` ``(n, classes)`` are shares that add up to 1, ``weights`` ``(n,)`` say how much each glyph counts.
    """

    glyphs: Tensor
    labels: Tensor
    targets: Tensor | None
    weights: Tensor | None

    @classmethod
    def of(
        cls,
        glyphs: Glyphs,
        labels: npt.NDArray[np.int64],
        targets: npt.NDArray[np.floating] | None = None,
        weights: npt.NDArray[np.floating] | None = None,
    ) -> Self:
        """Return arrays as tensors."""
        return cls(
            torch.from_numpy(np.ascontiguousarray(glyphs)).unsqueeze(1),
            torch.from_numpy(np.ascontiguousarray(labels, np.int64)),
            None if targets is None else torch.from_numpy(np.ascontiguousarray(targets, np.float32)),
            None if weights is None else torch.from_numpy(np.ascontiguousarray(weights, np.float32)),
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, chosen: Tensor) -> "Material":
        return Material(*(None if part is None else part[chosen] for part in self._parts))

    def to(self, device: torch.device) -> "Material":
        """Return the same where the network calculates."""
        return Material(*(None if part is None else part.to(device) for part in self._parts))

    def loss(self, logits: Tensor) -> Tensor:
        """Return the mean cross-entropy of ``logits`` ``(n, classes)``, each glyph counting by its weight."""
        wanted = self.labels if self.targets is None else self.targets
        if self.weights is None:
            return nn.functional.cross_entropy(logits, wanted)
        each = nn.functional.cross_entropy(logits, wanted, reduction="none")
        return (each * self.weights).mean()

    def log_prior(self, classes: int) -> Tensor:
        """Return the logarithm of how frequent each class is, relative to the mean class; 0 for one that is absent."""
        weights = torch.ones(len(self)) if self.weights is None else self.weights
        if self.targets is None:
            counts = torch.bincount(self.labels, weights, minlength=classes)
        else:
            counts = weights @ self.targets
        there = counts > 0
        relative = counts / counts[there].mean()
        return torch.where(there, relative.clamp(min=RAREST).log(), 0.0)

    @property
    def _parts(self) -> tuple[Tensor | None, ...]:
        return (self.glyphs, self.labels, self.targets, self.weights)


def check(glyphs: Glyphs, labels: npt.NDArray[np.int64], classes: int) -> None:
    """Raise ValueError where glyphs and labels do not fit, or are too few to learn from."""
    if glyphs.dtype != np.uint8 or glyphs.shape[1:] != (28, 28) or labels.shape != glyphs.shape[:1]:
        raise ValueError("training needs uint8 glyphs (n, 28, 28) and n labels")
    if len(glyphs) < 2:
        raise ValueError(f"training needs at least 2 glyphs, one to learn and one to validate; there are {len(glyphs)}")
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(f"a label is no class index: labels must lie in 0 to {classes - 1}")


def check_targets(
    targets: npt.NDArray[np.floating] | None, weights: npt.NDArray[np.floating] | None, count: int, classes: int
) -> None:
    """Raise ValueError where soft labels or weights do not fit ``count`` glyphs."""
    if targets is not None and targets.shape != (count, classes):
        raise ValueError(f"targets must be ({count}, {classes}), a row of shares for each glyph")
    if targets is not None and not ((targets >= 0).all() and np.allclose(targets.sum(1), 1, atol=1e-3)):
        raise ValueError("each row of targets must be shares from 0 that add up to 1")
    if weights is not None and (weights.shape != (count,) or not (weights >= 0).all() or not weights.any()):
        raise ValueError("weights must be one number from 0 for each glyph, not all of them 0")
