"""Training: the whole data set as tensors, batches cut and varied as tensors, one loop.

Read from ``train`` downwards. A CPU run by epochs or steps repeats exactly when the seed, the precision and the number
of threads are the same, broken off and taken up again or not. One by minutes does not, since how far it comes depends
on the machine; it tells its steps, and a run of as many steps comes close. Ctrl-C leaves between two batches as
KeyboardInterrupt.
"""

import time
from collections.abc import Callable
from dataclasses import astuple, dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from handwriting.networks import checkpoints
from handwriting.networks.architectures import ARCHITECTURES, Network
from handwriting.networks.material import Glyphs, Material, check, check_targets, hold_out, sides
from handwriting.networks.optimizers import optimizers_for
from handwriting.networks.precision import best_device, precision_for
from handwriting.networks.recipes import DEFAULTS, MODERN, PLAIN, Options, Recipe
from handwriting.networks.variation import varied

__all__ = ["Epoch", "Options", "Progress", "Trained", "hold_out", "measure", "scaled", "train"]


@dataclass(frozen=True)
class Epoch:
    """Mean figures of one epoch. Those of training are taken while the weights move, with dropout and variation on."""

    loss: float
    accuracy: float
    validation_loss: float
    validation_accuracy: float


@dataclass(frozen=True)
class Progress:
    """Where a training stands after a batch; ``finished`` holds the epochs that are complete.

    ``share`` of all is done. ``epochs`` is None where minutes decide. ``seconds_left`` is a guess.
    """

    share: float
    epoch: int
    epochs: int | None
    batch: int
    batches: int
    loss: float
    images_per_second: float
    seconds_left: float
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
    steps: int
    balance: float
    seconds: float


def train(
    architecture: str,
    glyphs: Glyphs,
    labels: npt.NDArray[np.int64],
    *,
    classes: int,
    targets: npt.NDArray[np.floating] | None = None,
    weights: npt.NDArray[np.floating] | None = None,
    held: npt.NDArray[np.bool_] | None = None,
    options: Options = DEFAULTS,
    checkpoint: Path | None = None,
    progress: Callable[[Progress], object] = lambda _: None,
) -> Trained:
    """Train ``architecture`` on ``glyphs`` ``(n, 28, 28)`` whose class indices are ``labels`` ``(n,)``.

    ``targets`` ``(n, classes)`` are soft labels, learned in place of the hard ones; ``weights`` ``(n,)`` say how much
    each glyph counts; ``held`` ``(n,)`` marks those that validate, which ``hold_out`` chooses where it is not given.
    ``checkpoint`` is a file that is written after each epoch, and from which the same training of the same arrays goes
    on; the caller deletes it. ``progress`` is called after every batch. Raises ValueError when the arrays do not fit or
    are too few, KeyError for an unknown architecture.
    """
    check(glyphs, labels, classes)
    check_targets(targets, weights, len(glyphs), classes)
    device = best_device()
    kept, validating = hold_out(glyphs) if held is None else sides(held)
    material = Material.of(glyphs, labels, targets, weights)
    learning = material[kept]
    with torch.random.fork_rng(enabled=device.type == "cpu"):
        torch.manual_seed(options.seed)
        network = ARCHITECTURES[architecture](classes).to(device, memory_format=torch.channels_last)
        run = _Run.start(network, options, learning, material[validating], learning.log_prior(classes))
        words = f"{architecture} {classes} {options} {run.recipe}"
        mark = checkpoint and checkpoints.mark_of(words, glyphs, labels, targets, weights, held)
        if checkpoint and mark:
            run.restore(checkpoints.read(checkpoint, mark))
        while run.share < 1:
            run.epoch(progress)
            if checkpoint and mark:
                checkpoints.write(checkpoint, mark, run.state())
    return Trained(
        network.cpu().eval(),
        architecture,
        classes,
        run.history,
        len(kept),
        len(validating),
        run.precision,
        run.steps,
        run.balance,
        run.seconds,
    )


@dataclass
class _Run:
    """One training under way. ``earlier`` are the seconds and ``resumed`` the steps before it was last taken up.

    ``stepped`` are the seconds at the end of the last step.
    """

    network: Network
    recipe: Recipe
    options: Options
    learning: Material
    held: Material
    prior: Tensor
    balance: float
    precision: str
    optimizers: list[torch.optim.Optimizer]
    generator: torch.Generator
    history: tuple[Epoch, ...] = ()
    steps: int = 0
    resumed: int = 0
    earlier: float = 0.0
    stepped: float = 0.0
    started: float = field(default_factory=time.perf_counter)

    @classmethod
    def start(cls, network: Network, options: Options, learning: Material, held: Material, prior: Tensor) -> Self:
        device = next(network.parameters()).device
        recipe = MODERN if network.augmented else PLAIN
        balance = recipe.balance if options.balance is None else options.balance
        return cls(
            network,
            recipe,
            options,
            learning.to(device),
            held.to(device),
            balance * prior.to(device),
            balance,
            precision_for(options.precision, device),
            optimizers_for(network, recipe),
            torch.Generator(device).manual_seed(options.seed),
        )

    @property
    def seconds(self) -> float:
        """How long the training has taken, without the time that it lay still."""
        return self.earlier + time.perf_counter() - self.started

    @property
    def batches(self) -> int:
        """Batches of an epoch; the remainder that fills none sits it out."""
        return max(1, len(self.learning) // self.options.batch_size)

    @property
    def planned(self) -> int | None:
        """Steps of the whole training, or None where minutes decide."""
        if self.options.minutes is not None:
            return None
        return self.options.steps or self.options.epochs * self.batches

    @property
    def share(self) -> float:
        """How much of the training is done, as of its last step."""
        if self.options.minutes is not None:
            return min(1.0, self.stepped / (60 * self.options.minutes))
        return self.steps / (self.planned or 1)

    def epoch(self, progress: Callable[[Progress], object]) -> None:
        """Go once through the glyphs in a new order, or until the training is over."""
        self.network.train()
        order = torch.randperm(len(self.learning), generator=self.generator, device=self.prior.device)
        losses, hits, seen, started = 0.0, 0, 0, time.perf_counter()
        for batch, chosen in enumerate(order.split(self.options.batch_size)[: self.batches], start=1):
            loss, right = self.step(self.learning[chosen])
            losses, hits, seen = losses + loss * len(chosen), hits + right, seen + len(chosen)
            progress(self.tell(batch, losses / seen, seen / (time.perf_counter() - started)))
            if self.share >= 1:
                break
        settle(self.network, self.learning.glyphs)
        self.history += (Epoch(losses / seen, hits / seen, *measure(self.network, self.held.glyphs, self.held.labels)),)

    def step(self, batch: Material) -> tuple[float, int]:
        """Move the weights once; return the batch's mean loss and how many it had right before the move."""
        pace = self.recipe.pace(self.share)
        images = scaled(batch.glyphs)
        if self.recipe.augmented:
            images = varied(images, self.generator)
        images = images.contiguous(memory_format=torch.channels_last)
        with torch.autocast(images.device.type, torch.bfloat16, enabled=self.precision == "bfloat16"):
            logits = self.network(images)
        loss = batch.loss(logits.float() + self.prior)
        self.network.zero_grad()
        loss.backward()
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * pace
            optimizer.step()
        self.steps, self.stepped = self.steps + 1, self.seconds
        return loss.item(), int((logits.argmax(1) == batch.labels).sum())

    def tell(self, batch: int, loss: float, images_per_second: float) -> Progress:
        """Return where the training stands after ``batch`` of this epoch."""
        share, here = self.share, time.perf_counter() - self.started
        if self.planned is None:
            batches, left = self.batches, 60 * (self.options.minutes or 0) * (1 - share)
        else:
            batches = min(self.batches, self.planned - len(self.history) * self.batches)
            left = here / (self.steps - self.resumed) * (self.planned - self.steps)
        epochs = self.planned and -(-self.planned // self.batches)
        epoch = len(self.history) + 1
        return Progress(share, epoch, epochs, batch, batches, loss, images_per_second, left, self.history)

    def state(self) -> dict[str, Any]:
        """Return all that decides how the training goes on."""
        return {
            "network": self.network.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "order": self.generator.get_state(),
            "dropout": torch.get_rng_state(),
            "history": [astuple(epoch) for epoch in self.history],
            "steps": self.steps,
            "seconds": self.seconds,
        }

    def restore(self, state: dict[str, Any] | None) -> None:
        """Go on from ``state``; from None start anew."""
        if state is None:
            return
        self.network.load_state_dict(state["network"])
        for optimizer, stored in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(stored)
        self.generator.set_state(state["order"])
        torch.set_rng_state(state["dropout"])
        self.history = tuple(Epoch(*figures) for figures in state["history"])
        self.steps = self.resumed = state["steps"]
        self.earlier = self.stepped = state["seconds"]
        self.started = time.perf_counter()


def scaled(glyphs: Tensor) -> Tensor:
    """Turn uint8 ``(n, 1, 28, 28)`` into float32 ink from 0 to 1."""
    return glyphs.float().div_(255)


def settle(network: Network, glyphs: Tensor) -> None:
    """Take what normalisation holds for usual from uint8 ``glyphs`` ``(n, 1, 28, 28)`` as they are.

    Turned and bent, glyphs are smoother than those that are read later, and the means and spreads that came of them fit
    the latter badly (Touvron et al. 2019, https://arxiv.org/abs/1906.06423). ``network`` is left in training mode.
    """
    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # The mean of all batches counts.
    network.train()
    with torch.no_grad():
        for batch in glyphs[:: max(1, len(glyphs) // SETTLING)].split(512) if norms else ():
            network(scaled(batch))


SETTLING = 8192
"""Glyphs from which normalisation is taken, at most twice as many."""


def measure(network: Network, glyphs: Tensor, labels: Tensor, batch_size: int = 512) -> tuple[float, float]:
    """Return the mean loss and the accuracy of ``network`` on uint8 ``glyphs`` ``(n, 1, 28, 28)``."""
    network.eval()
    with torch.inference_mode():
        logits = torch.cat([network(scaled(batch)) for batch in glyphs.split(batch_size)])
        loss = nn.functional.cross_entropy(logits, labels)
    return loss.item(), (logits.argmax(1) == labels).float().mean().item()
