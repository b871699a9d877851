"""Training: the whole data set as one tensor, batches cut and varied as tensors, one loop.

Read from ``train`` downwards. A CPU run repeats exactly when the seed, the precision and the number of threads are
the same. Ctrl-C leaves between two batches as KeyboardInterrupt; what the caller finished before stays finished.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Literal, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from handwriting.networks.architectures import ARCHITECTURES, Network

VALIDATION_SHARE = 0.05
SPLIT_SEED = 47
MARGIN = 1.2
"""How many times faster bfloat16 must be before its coarser numbers are worth it."""

Precision = Literal["auto", "float32", "bfloat16"]


@dataclass(frozen=True)
class Options:
    """What a person may choose. ``auto`` precision is decided by a short timing on this machine."""

    epochs: int = 8
    batch_size: int = 128
    seed: int = 0
    precision: Precision = "auto"

    def __post_init__(self) -> None:
        if self.epochs < 1 or self.batch_size < 1:
            raise ValueError("epochs and batch size must be at least 1")


@dataclass(frozen=True)
class Recipe:
    """How the weights are moved, which goes with the architecture."""

    learning_rate: float
    weight_decay: float = 0.0
    label_smoothing: float = 0.0
    one_cycle: bool = False
    augmented: bool = False


PLAIN = Recipe(learning_rate=1e-3)
"""Adam at its defaults, as the four networks of the original are trained."""

MODERN = Recipe(learning_rate=4e-3, weight_decay=0.02, label_smoothing=0.05, one_cycle=True, augmented=True)


@dataclass(frozen=True)
class Epoch:
    """Mean figures of one epoch. Those of training are taken while the weights move, with dropout and variation on."""

    loss: float
    accuracy: float
    validation_loss: float
    validation_accuracy: float


@dataclass(frozen=True)
class Progress:
    """Where a training stands after a batch; ``finished`` holds the epochs that are complete."""

    epoch: int
    epochs: int
    batch: int
    batches: int
    loss: float
    images_per_second: float
    finished: tuple[Epoch, ...]


@dataclass(frozen=True)
class Trained:
    """A trained network in float32 on the CPU, ready to export, and how it came about."""

    network: Network
    architecture: str
    classes: int
    history: tuple[Epoch, ...]
    training_size: int
    validation_size: int
    precision: str
    seconds: float


def train(
    architecture: str,
    glyphs: npt.NDArray[np.uint8],
    labels: npt.NDArray[np.int64],
    *,
    classes: int,
    options: Options = Options(),
    progress: Callable[[Progress], None] = lambda _: None,
) -> Trained:
    """Train ``architecture`` on ``glyphs`` ``(n, 28, 28)`` whose class indices are ``labels`` ``(n,)``.

    ``progress`` is called after every batch. Raises ValueError when the arrays do not fit or are too few, KeyError
    for an unknown architecture.
    """
    _check(glyphs, labels, classes)
    started = time.perf_counter()
    device = _device()
    kept, held = hold_out(len(glyphs))
    inputs = torch.from_numpy(np.ascontiguousarray(glyphs)).unsqueeze(1).to(device)  # (n, 1, 28, 28) uint8
    targets = torch.from_numpy(np.asarray(labels, np.int64)).to(device)
    with torch.random.fork_rng(enabled=device.type == "cpu"):
        torch.manual_seed(options.seed)
        network = ARCHITECTURES[architecture](classes).to(device, memory_format=torch.channels_last)
        run = _Run.start(network, options, len(kept))
        for number in range(1, options.epochs + 1):
            loss, accuracy = run.epoch(number, inputs[kept], targets[kept], progress)
            run.history += (Epoch(loss, accuracy, *measure(network, inputs[held], targets[held])),)
    seconds = time.perf_counter() - started
    return Trained(
        network.cpu().eval(), architecture, classes, run.history, len(kept), len(held), run.precision, seconds
    )


@dataclass
class _Run:
    """One training under way."""

    network: Network
    recipe: Recipe
    options: Options
    precision: str
    optimizer: torch.optim.Optimizer
    schedule: torch.optim.lr_scheduler.LRScheduler
    generator: torch.Generator
    batches: int
    history: tuple[Epoch, ...] = ()

    @classmethod
    def start(cls, network: Network, options: Options, size: int) -> Self:
        device = next(network.parameters()).device
        recipe = MODERN if network.augmented else PLAIN
        optimizer = torch.optim.AdamW(
            network.parameters(), lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=True
        )
        batches = max(1, size // options.batch_size)
        return cls(
            network,
            recipe,
            options,
            precision_for(options.precision, device),
            optimizer,
            _schedule(optimizer, recipe, batches * options.epochs),
            torch.Generator(device).manual_seed(options.seed),
            batches,
        )

    def epoch(
        self, number: int, glyphs: Tensor, labels: Tensor, progress: Callable[[Progress], None]
    ) -> tuple[float, float]:
        """Go once through ``glyphs`` in a new order; the remainder that fills no batch sits this epoch out."""
        self.network.train()
        order = torch.randperm(len(glyphs), generator=self.generator, device=glyphs.device)
        losses, hits, seen, started = 0.0, 0, 0, time.perf_counter()
        for batch, chosen in enumerate(order.split(self.options.batch_size)[: self.batches], start=1):
            loss, right = self.step(glyphs[chosen], labels[chosen])
            losses, hits, seen = losses + loss * len(chosen), hits + right, seen + len(chosen)
            speed = seen / (time.perf_counter() - started)
            progress(Progress(number, self.options.epochs, batch, self.batches, losses / seen, speed, self.history))
        return losses / seen, hits / seen

    def step(self, glyphs: Tensor, labels: Tensor) -> tuple[float, int]:
        """Move the weights once; return the batch's mean loss and how many it had right before the move."""
        images = scaled(glyphs)
        if self.recipe.augmented:
            images = varied(images, self.generator)
        images = images.contiguous(memory_format=torch.channels_last)
        with torch.autocast(images.device.type, torch.bfloat16, enabled=self.precision == "bfloat16"):
            logits = self.network(images)
        loss = nn.functional.cross_entropy(logits.float(), labels, label_smoothing=self.recipe.label_smoothing)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.schedule.step()
        return loss.item(), int((logits.argmax(1) == labels).sum())


def hold_out(count: int) -> tuple[Tensor, Tensor]:
    """Split ``range(count)`` into positions to train on and positions to validate on, always the same way."""
    order = torch.randperm(count, generator=torch.Generator().manual_seed(SPLIT_SEED))
    held = max(1, round(count * VALIDATION_SHARE))
    return order[held:].sort().values, order[:held].sort().values


def scaled(glyphs: Tensor) -> Tensor:
    """Turn uint8 ``(n, 1, 28, 28)`` into float32 ink from 0 to 1."""
    return glyphs.float().div_(255)


def varied(images: Tensor, generator: torch.Generator) -> Tensor:
    """Turn, stretch, slant and shift each of ``images`` ``(n, 1, 28, 28)`` a little, each its own way."""

    def between(reach: float) -> Tensor:
        return torch.empty(len(images), device=images.device).uniform_(-reach, reach, generator=generator)

    angle, slant = between(0.2), between(0.2)  # radians; share of the height
    wide, high = 1 + between(0.15), 1 + between(0.15)
    right, down = between(0.12), between(0.12)  # in half pictures: 0.12 is 1.7 pixels
    cosine, sine = angle.cos(), angle.sin()
    across = torch.stack([wide * cosine, wide * (slant * cosine - sine), right], dim=1)
    along = torch.stack([high * sine, high * (slant * sine + cosine), down], dim=1)
    grid = nn.functional.affine_grid(torch.stack([across, along], dim=1), list(images.shape), align_corners=False)
    return nn.functional.grid_sample(images, grid, align_corners=False)


def measure(network: Network, glyphs: Tensor, labels: Tensor, batch_size: int = 512) -> tuple[float, float]:
    """Return the mean loss and the accuracy of ``network`` on uint8 ``glyphs`` ``(n, 1, 28, 28)``."""
    network.eval()
    with torch.inference_mode():
        logits = torch.cat([network(scaled(batch)) for batch in glyphs.split(batch_size)])
        loss = nn.functional.cross_entropy(logits, labels)
    return loss.item(), (logits.argmax(1) == labels).float().mean().item()


def precision_for(wanted: Precision, device: torch.device) -> str:
    """Return ``float32`` or ``bfloat16``; a CPU is timed, because without AVX-512 BF16 it is far slower in bfloat16."""
    if wanted != "auto":
        return wanted
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    return "bfloat16" if device.type == "cpu" and _bfloat16_pays() else "float32"


@cache
def _bfloat16_pays() -> bool:
    """Time a convolution there and back in both precisions, turn about so that a busy machine slows both alike."""
    layer = nn.Conv2d(32, 64, 3, padding=1).to(memory_format=torch.channels_last)
    images = torch.zeros(64, 32, 14, 14).contiguous(memory_format=torch.channels_last)
    best = {True: float("inf"), False: float("inf")}
    for _ in range(5):
        for enabled in (True, False):
            started = time.perf_counter()
            with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
                layer(images).float().sum().backward()
            best[enabled] = min(best[enabled], time.perf_counter() - started)
    return best[True] * MARGIN < best[False]


def _schedule(optimizer: torch.optim.Optimizer, recipe: Recipe, steps: int) -> torch.optim.lr_scheduler.LRScheduler:
    if not recipe.one_cycle:
        return torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0)
    # Smith & Topin 2017, https://arxiv.org/abs/1708.07120. OneCycleLR wants two steps at least.
    return torch.optim.lr_scheduler.OneCycleLR(
        optimizer, recipe.learning_rate, total_steps=max(2, steps), pct_start=0.25, cycle_momentum=False
    )


def _device() -> torch.device:
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def _check(glyphs: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64], classes: int) -> None:
    if glyphs.dtype != np.uint8 or glyphs.shape[1:] != (28, 28) or labels.shape != glyphs.shape[:1]:
        raise ValueError("training needs uint8 glyphs (n, 28, 28) and n labels")
    if len(glyphs) < 2:
        raise ValueError(f"training needs at least 2 glyphs, one to learn and one to validate; there are {len(glyphs)}")
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(f"a label is no class index: labels must lie in 0 to {classes - 1}")
