"""How weights are moved: convolutions by Muon, all else by AdamW.

Muon (Jordan et al. 2024, https://kellerjordan.github.io/posts/muon/) moves each matrix of weights by the nearest
orthogonal matrix to its momentum, so that every direction moves alike. PyTorch's own takes no convolutions, and
calculates in bfloat16, which is slow on most CPUs.
"""

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from handwriting.networks.recipes import Recipe

COEFFICIENTS = (3.4445, -4.7750, 2.0315)
"""Of the polynomial that brings all singular values near 1 in five rounds; from the authors."""

LEAST_INPUTS = 16
"""A weight of fewer inputs (the first layer's, a depthwise convolution's) is no matrix to speak of."""


class Muon(torch.optim.Optimizer):  # type: ignore[misc]
    """Moves weights ``(outputs, …)``, each as one matrix of a row for every output."""

    def __init__(self, weights: Iterable[nn.Parameter], lr: float, momentum: float = 0.95) -> None:
        super().__init__(weights, {"lr": lr, "momentum": momentum})

    @torch.no_grad()  # type: ignore[untyped-decorator]
    def step(self, closure: Any = None) -> None:  # noqa: ARG002 -- The class that this belongs to has it.
        """Move all weights that have a gradient."""
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                average = self.state[weight].setdefault("average", torch.zeros_like(weight))
                average.lerp_(weight.grad, 1 - group["momentum"])
                ahead = weight.grad.lerp(average, group["momentum"]).flatten(1)
                rows, columns = ahead.shape
                step = group["lr"] * max(1, rows / columns) ** 0.5
                weight.add_(orthogonal(ahead).view(weight.shape), alpha=-step)


def orthogonal(matrix: Tensor) -> Tensor:
    """Return about the nearest matrix to ``matrix`` whose singular values are all 1, by Newton and Schulz."""
    first, second, third = COEFFICIENTS
    tall = matrix.shape[0] > matrix.shape[1]
    found = matrix.T if tall else matrix
    found = found / (found.norm() + 1e-7)
    for _ in range(5):
        square = found @ found.T
        found = first * found + (second * square + third * square @ square) @ found
    return found.T if tall else found


def optimizers_for(network: nn.Module, recipe: Recipe) -> list[torch.optim.Optimizer]:
    """Return what moves the weights of ``network``. Each group keeps its highest learning rate as ``peak``."""
    weights = list(network.parameters())
    convolutions = [w for w in weights if recipe.muon and w.ndim == 4 and w[0].numel() > LEAST_INPUTS]
    taken = {id(weight) for weight in convolutions}
    others = [weight for weight in weights if id(weight) not in taken]
    groups = [
        {"params": [w for w in others if w.ndim > 1], "weight_decay": recipe.weight_decay},
        {"params": [w for w in others if w.ndim <= 1], "weight_decay": 0.0},  # Scales and biases do not decay.
    ]
    found: list[torch.optim.Optimizer] = [torch.optim.AdamW(groups, lr=recipe.learning_rate, fused=True)]
    if convolutions:
        found.append(Muon(convolutions, lr=recipe.muon))
    for optimizer in found:
        for group in optimizer.param_groups:
            group["peak"] = group["lr"]
    return found
