"""How a training goes: what a person chooses, and what goes with the architecture."""

import math
from dataclasses import dataclass

from handwriting.networks.precision import Precision


@dataclass(frozen=True)
class Options:
    """What a person may choose.

    A training ends after ``epochs``, or after as many ``steps``, or when ``minutes`` of wall-clock time are over,
    whichever of the last two is given. ``balance`` is how much is made up for classes that are unequal in number,
    from 0 (nothing) to 1 (all); None leaves it to the recipe. ``auto`` precision is decided by a short timing.
    """

    epochs: int = 8
    batch_size: int = 128
    seed: int = 0
    precision: Precision = "auto"
    minutes: float | None = None
    steps: int | None = None
    balance: float | None = None

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 1:
            raise ValueError("epochs and batch size must be at least 1")
        if self.minutes is not None and self.steps is not None:
            raise ValueError("a training ends by its minutes or by its steps, not by both")
        if not (self.minutes is None or 0 < self.minutes < math.inf) or not (self.steps is None or self.steps > 0):
            raise ValueError("minutes and steps must be above 0")
        if self.balance is not None and not 0 <= self.balance <= 1:
            raise ValueError("balance must lie in 0 to 1")


DEFAULTS = Options()


@dataclass(frozen=True)
class Recipe:
    """How the weights are moved, which goes with the architecture.

    ``muon`` is the learning rate of convolutions, where it is above 0; all else has ``learning_rate``.
    ``balance`` is the share of the logarithm of the class prior that is added to the logits while the network learns
    (Menon et al. 2021, https://arxiv.org/abs/2007.07314), so that what it says afterwards is freed of that prior.
    """

    learning_rate: float
    muon: float = 0.0
    weight_decay: float = 0.0
    one_cycle: bool = False
    augmented: bool = False
    balance: float = 0.0

    def pace(self, share: float) -> float:
        """Return by what the learning rate is multiplied when ``share`` of the training is done.

        One cycle (Smith & Topin 2017, https://arxiv.org/abs/1708.07120): up in a straight line, down in half a cosine.
        """
        if not self.one_cycle:
            return 1.0
        if share < RISE:
            return max(share, RISE / 50) / RISE
        return (1 + math.cos(math.pi * (share - RISE) / (1 - RISE))) / 2


RISE = 0.25
"""The share of a cycle in which the learning rate rises."""

PLAIN = Recipe(learning_rate=1e-3)
"""Adam at its defaults, as the four networks of the original are trained."""

MODERN = Recipe(learning_rate=4e-3, muon=0.02, weight_decay=0.02, one_cycle=True, augmented=True, balance=1.0)
"""What was measured to give the most accuracy for a core-second; docs/learning.md has the figures."""
