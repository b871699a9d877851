"""From labelled glyphs to networks and the ensemble that they form. Loads PyTorch: for workers and commands only."""

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import cast

import numpy as np
from django.conf import settings
from django.core.files.base import ContentFile
from django.db import transaction
from numpy.typing import NDArray

from drcaptcha.errors import NotPossible
from drcaptcha.learning import examples, freezing, scoring
from drcaptcha.learning.examples import Examples
from drcaptcha.learning.freezing import Frozen
from drcaptcha.learning.models import Ensemble, Membership, Network
from drcaptcha.learning.resuming import Trail
from drcaptcha.learning.snapshots import Snapshot
from handwriting import metrics
from handwriting.alphabet import ALPHABETS, Alphabet
from handwriting.inference import Classifier
from handwriting.networks import NAMES

try:
    from handwriting.networks import judgement, pictures, training
    from handwriting.networks.architectures import parameter_count
    from handwriting.networks.checkpoints import mark_of
    from handwriting.networks.export import CALIBRATION, export, quantise
    from handwriting.networks.precision import Precision, best_device, precision_for
except ModuleNotFoundError as missing:
    raise NotPossible(
        f"Training needs the package {missing.name}, which is not installed. "
        "Install it with: pip install 'drcaptcha[train]'"
    ) from missing

MOST_SEEDS = 2**31

MOST_LOST = 0.01
"""How much accuracy on the validation glyphs a network may lose to 8-bit numbers and still be served in them."""


@dataclass(frozen=True)
class Plan:
    """What to train. Names of architectures, in order; ``subset`` takes that many training glyphs at random.

    Each network trains for ``epochs``; or for ``steps``; or for its equal part of ``minutes``, whichever is given.
    ``balance`` makes up for classes that are unequal in number, from 0 to 1; None leaves it to the architecture.
    """

    networks: tuple[str, ...] = ("compact",)
    epochs: int = 8
    batch_size: int = 128
    subset: int | None = None
    seed: int = 0
    name: str = ""
    minutes: float | None = None
    steps: int | None = None
    balance: float | None = None

    def __post_init__(self) -> None:
        unknown = [name for name in self.networks if name not in NAMES]
        if unknown:
            raise NotPossible(f"There is no network {', '.join(unknown)}. There are: {', '.join(NAMES)}.")
        if not self.networks:
            raise NotPossible(f"Name at least one network. There are: {', '.join(NAMES)}.")
        if self.epochs < 1 or self.batch_size < 1 or not 0 <= self.seed < MOST_SEEDS:
            raise NotPossible(f"Epochs and batch size must be at least 1, the seed from 0 to {MOST_SEEDS - 1}.")
        try:
            self.options(0)
        except ValueError as fault:
            raise NotPossible(f"{str(fault).capitalize()}.") from fault

    def options(self, position: int, precision: Precision = "auto") -> training.Options:
        """Return how the network at ``position`` trains. Two of the same architecture differ by their seed."""
        return training.Options(
            epochs=self.epochs,
            batch_size=self.batch_size,
            seed=self.seed + position,
            minutes=self.minutes and self.minutes / len(self.networks),
            steps=self.steps,
            balance=self.balance,
            precision=precision,
        )


@dataclass(frozen=True)
class Step:
    """How far a plan has come: the share that is done, a line for people, and the batch behind it if there is one."""

    share: float
    line: str
    batch: training.Progress | None = None


Progress = Callable[[Step], object]


@dataclass(frozen=True)
class _Material:
    """What a plan works on: the alphabet, the labels to learn, their glyphs, and what to be judged by."""

    alphabet: Alphabet
    frozen: Frozen
    learning: Examples
    judging: Examples

    @cached_property
    def kept(self) -> NDArray[np.int64]:
        """Positions of the glyphs to learn from."""
        return self._sides[0]

    @cached_property
    def held(self) -> NDArray[np.int64]:
        """Positions of the glyphs to validate on."""
        return self._sides[1]

    @cached_property
    def _sides(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        kept, held = training.hold_out(self.learning.glyphs)
        return kept.numpy(), held.numpy()


def train(plan: Plan, *, now: datetime, anew: bool = False, progress: Progress = lambda _: None) -> Ensemble:
    """Train the networks of ``plan`` and store each as it is finished; then store and evaluate their ensemble.

    Ctrl-C, or a worker that is told to stop, ends the training, not the work: the networks that were finished still
    become an ensemble, which the caller knows by its few networks. With none finished the interruption goes on to the
    caller. Either way the same plan goes on, the next time, from the last whole epoch and with the labels that it began
    with; where only the evaluation is wanting, with that. ``anew`` forgets what was broken off. ``now`` is when it
    starts; what it stores has the time at which it was finished.

    Raises:
        NotPossible: there are no labelled glyphs to learn from or none to judge by, or the same plan is under way.
    """
    began = time.perf_counter()

    def clock() -> datetime:
        return now + timedelta(seconds=time.perf_counter() - began)

    alphabet = ALPHABETS[settings.DRCAPTCHA_ALPHABET]
    trail = Trail.of(mark_of(repr((replace(plan, name=""), alphabet.classes))), now=now)
    with trail.alone():
        if anew:
            trail.remove()
        material = _gather(plan, alphabet, trail, progress)
        finished = _train_all(plan, material, trail, clock, progress)
        progress(Step(len(finished) / len(plan.networks), "evaluating the ensemble"))
        ensemble = trail.ensemble(finished) or _unite(finished, plan.name or _named(finished, now), trail)
        scoring.settle(ensemble, now=clock())
        if len(finished) == len(plan.networks):
            trail.remove()
    return ensemble


def trial(*, epochs: int, seed: int = 0, truth: bool = False) -> tuple[float, int]:
    """Train one network on all labels and return its accuracy on the test glyphs, and the number of labels.

    Nothing is stored: it tells what the labels of the moment are worth; with ``truth``, what the best would be.
    """
    alphabet = ALPHABETS[settings.DRCAPTCHA_ALPHABET]
    judging = examples.judging(alphabet)
    frozen = freezing.freeze(alphabet, subset=None, rng=np.random.default_rng(seed), truth=truth)
    learning, classes = frozen.examples(), alphabet.classes
    targets, weights = frozen.soft
    trained = training.train(
        "compact",
        learning.glyphs,
        learning.labels,
        classes=len(classes),
        targets=targets,
        weights=weights,
        held=learning.known.held,
        options=training.Options(epochs=epochs, seed=seed),
    )
    with TemporaryDirectory() as folder:
        path = Path(folder) / "trial.onnx"
        export(trained.network, path)
        said = Classifier(path, classes, threads=0).probabilities(judging.glyphs)
    return metrics.accuracy(said, judging.labels).value, len(learning)


def _gather(plan: Plan, alphabet: Alphabet, trail: Trail, progress: Progress) -> _Material:
    """Return what ``plan`` works on: the labels that it began with, if it was broken off, or those of today."""
    progress(Step(0, "reading glyphs"))
    judging = examples.judging(alphabet)
    stored = freezing.read(trail.labels)
    frozen = stored and stored.without_deleted()
    if stored is None or frozen is None or len(frozen) < examples.FEWEST:
        trail.remove()  # Networks that learned other labels are no part of this training.
        frozen = freezing.freeze(alphabet, subset=plan.subset, rng=np.random.default_rng(plan.seed))
        frozen.write(trail.labels)
    else:
        progress(Step(0, _going_on(len(frozen), len(stored) - len(frozen), trail.began)))
    return _Material(alphabet, frozen, frozen.examples(), judging)


def _going_on(labels: int, deleted: int, began: datetime) -> str:
    """Return with which labels a training goes on, for people."""
    line = f"going on with the {labels:,} labels of {began:%Y-%m-%d %H:%M}"
    return f"{line}, without {deleted:,} whose glyphs were deleted" if deleted else line


def _train_all(
    plan: Plan, material: _Material, trail: Trail, clock: Callable[[], datetime], progress: Progress
) -> list[Network]:
    """Return the networks of ``plan``, or those that were finished when it was broken off, if there are any."""
    finished: list[Network] = []
    try:
        for position in range(len(plan.networks)):
            network = trail.network(position)
            if network is None:
                network = _train_one(plan, position, material, trail, progress)
                network.created = clock()
                network.save()
                trail.finish(position, network)
            finished.append(network)
    except (KeyboardInterrupt, SystemExit):
        if not finished:
            raise
    return finished


def _train_one(plan: Plan, position: int, material: _Material, trail: Trail, progress: Progress) -> Network:
    """Return a trained network, not yet saved."""
    name, count = plan.networks[position], len(plan.networks)
    device = best_device()
    # Timed again, a machine that is busier or less might choose otherwise, and the rest would come out differently.
    precision = trail.once(f"precision on {device.type}", lambda: precision_for("auto", device))
    learning, options = material.learning, plan.options(position, cast("Precision", precision))
    targets, weights = material.frozen.soft
    trained = training.train(
        name,
        learning.glyphs,
        learning.labels,
        classes=len(material.alphabet),
        targets=targets,
        weights=weights,
        options=options,
        checkpoint=trail.checkpoint(position),
        progress=lambda batch: progress(Step((position + batch.share) / count, _line(name, batch), batch)),
    )
    progress(Step((position + 1) / count, f"{name}: judging and drawing"))
    with TemporaryDirectory() as folder:
        path, lost = _export(trained, material, Path(folder))
        said = Classifier(path, material.alphabet.classes, threads=0).probabilities(material.judging.glyphs)
        network = _row(trained, options, material, said, path.read_bytes())
        network.float_onnx = ContentFile((Path(folder) / "float.onnx").read_bytes(), "float.onnx")
    network.history |= {"numbers": path.stem, "lost": lost}
    return network


def _line(name: str, batch: training.Progress) -> str:
    """Return how far a network has come, for people."""
    epochs = "" if batch.epochs is None else f" of {batch.epochs}"
    known = f", validation {batch.finished[-1].validation_accuracy:.1%}" if batch.finished else ""
    speed = f"{batch.images_per_second:,.0f} glyphs/s"
    return (
        f"{name}: epoch {batch.epoch}{epochs}, loss {batch.loss:.3f}{known}, {speed}, {left(batch.seconds_left)} left"
    )


def left(seconds: float) -> str:
    """Return a time as people say it: seconds up to two minutes, then minutes."""
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _export(trained: training.Trained, material: _Material, folder: Path) -> tuple[Path, float]:
    """Write the file that will serve: in 8-bit numbers, unless those cost accuracy on the validation glyphs.

    Returns it, and how much accuracy 8-bit numbers cost.
    """
    plain, small = folder / "float.onnx", folder / "int8.onnx"
    learning, held = material.learning, material.held
    export(trained.network, plain)
    # From all over, since an import may have brought one class after another.
    spread = material.kept[:: max(1, len(material.kept) // CALIBRATION)]
    quantise(plain, small, learning.glyphs[spread])
    validation = Examples(learning.glyphs[held], learning.known[held], len(learning))
    lost = _accuracy(plain, validation, material.alphabet) - _accuracy(small, validation, material.alphabet)
    return (plain if lost > MOST_LOST else small), lost


def _accuracy(path: Path, validation: Examples, alphabet: Alphabet) -> float:
    said = Classifier(path, alphabet.classes, threads=0).probabilities(validation.glyphs)
    return metrics.accuracy(said, validation.labels).value


def _row(
    trained: training.Trained,
    options: training.Options,
    material: _Material,
    said: NDArray[np.float32],
    content: bytes,
) -> Network:
    """Return the row of a trained network, not yet saved, that said ``said`` of the test glyphs."""
    alphabet, judging, history = material.alphabet, material.judging, trained.history
    confusion = metrics.confusion(said.argmax(axis=1), judging.labels, len(alphabet))
    return Network(
        architecture=trained.architecture,
        classes="".join(alphabet.classes),
        folder=secrets.token_hex(16),
        seconds=trained.seconds,
        epochs=len(history),
        batch_size=options.batch_size,
        seed=options.seed,
        parameters=parameter_count(trained.network),
        train_size=trained.training_size,
        test_size=len(judging),
        accuracy=metrics.accuracy(said, judging.labels).value,
        history={
            "precision": trained.precision,
            "steps": trained.steps,
            "minutes": options.minutes,
            "balance": trained.balance,
            "epochs": [asdict(epoch) for epoch in history],
        },
        onnx=ContentFile(content, "network.onnx"),
        snapshot=ContentFile(_snapshot(material).to_bytes(), "snapshot.npz"),
        snapshot_hash=material.learning.known.fingerprint(alphabet),
        given_labels=int((~material.learning.known.voted).sum()),
        voted_labels=int(material.learning.known.voted.sum()),
        known_labels=material.learning.available,
        architecture_picture=_png("architecture", pictures.architecture(trained.architecture, trained.network)),
        loss_picture=_png("loss", pictures.loss_curve(history)),
        accuracy_picture=_png("accuracy", pictures.accuracy_curve(history)),
        confusion_picture=_png(
            "confusion", judgement.confusion_matrix(confusion, alphabet.classes, metrics.clustered(confusion))
        ),
    )


def _snapshot(material: _Material) -> Snapshot:
    learning, held = material.learning, np.zeros(len(material.learning), bool)
    held[material.held] = True
    return Snapshot(learning.keys, learning.labels.astype(np.int16), held)


def _png(name: str, content: bytes) -> ContentFile[bytes]:
    return ContentFile(content, f"{name}.png")


def _named(networks: Sequence[Network], now: datetime) -> str:
    return f"{' + '.join(network.architecture for network in networks)}, {now:%Y-%m-%d %H:%M}"


@transaction.atomic
def _unite(networks: Sequence[Network], name: str, trail: Trail) -> Ensemble:
    ensemble = Ensemble.objects.create(name=name[:100])
    share = 1 / len(networks)
    Membership.objects.bulk_create(Membership(ensemble=ensemble, network=n, weight=share) for n in networks)
    trail.unite(ensemble)
    return ensemble
