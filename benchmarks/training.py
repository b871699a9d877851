"""How right networks are for the time that their training takes: the original's beside ours, alone and together.

    DRCAPTCHA_EMNIST=/path/to/emnist .venv/bin/python benchmarks/training.py --folder results
        [--part originals|single|ensembles|byclass|all] [--minutes 4 10 30 | --epochs 8] [--single NAME]
        [--together NAME,…]

Trains on the training file alone, of which one glyph in twenty validates: by those the temperature is chosen, and
whether 8-bit numbers cost too much. What is measured is the file that would serve. The test file is read once the
networks of a part are trained, and decides nothing. So many minutes are minutes of two cores: with OMP_NUM_THREADS=1 a
training takes twice as long. Core-seconds are counted, of training alone. On a machine that has other things to do,
--epochs says how long to train instead: each network of an ensemble sees all glyphs so many times.

What is finished lies in FOLDER (networks.jsonl, and for each network what it says) and is not trained again; a training
that was broken off goes on from its last whole epoch. Prints a table and draws FOLDER/training.png.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import get_num_threads

from handwriting import ensembles, metrics
from handwriting.alphabet import ALPHABETS, Alphabet
from handwriting.formats.emnist import open_files
from handwriting.inference import Classifier
from handwriting.networks import training
from handwriting.networks.architectures import parameter_count
from handwriting.networks.export import CALIBRATION, export, quantise
from handwriting.networks.recipes import Options

ORIGINALS = ("nn", "dnn", "cnn1", "cnn2")
SINGLES = {6: "compact", 15: "residual", 1000: "residual-large"}
"""Which network is trained alone for up to so many minutes or epochs: a larger one is to see glyphs ten times too."""

TOGETHER = ("residual", "residual", "residual")
CORES = 2
"""Of so many cores the minutes are; on fewer threads a training takes longer by as much."""

MOST_LOST = 0.01


@dataclass(frozen=True)
class Job:
    """One network: its architecture, how it is trained, and on which split."""

    part: str
    architecture: str
    options: Options
    split: str = "balanced"

    def lengthened(self) -> Options:
        """Return the options by which this process trains for so many minutes of all cores."""
        return replace(self.options, minutes=self.options.minutes and self.options.minutes * CORES / get_num_threads())

    @property
    def key(self) -> str:
        """What the job is known by, in the file of results too."""
        o = self.options
        length = f"{o.epochs}-epochs" if o.minutes is None else f"{o.minutes:g}-minutes"
        return f"{self.split}-{self.architecture}-{length}-{o.seed}"


@dataclass(frozen=True)
class Line:
    """One row of the table: what it is called and the jobs whose networks decide: all alike, or weighed as we do."""

    name: str
    jobs: tuple[Job, ...]
    alike: bool = False


def lines(part: str, lengths: Sequence[Options], single: str | None, together: Sequence[str]) -> Iterator[Line]:
    """Yield what a part measures."""
    if part == "originals":
        jobs = tuple(Job(part, name, Options(epochs=8)) for name in ORIGINALS)
        yield from (Line(job.architecture, (job,), alike=True) for job in jobs)
        yield Line("the four, alike", jobs, alike=True)
    if part == "single":
        for length in lengths:
            job = Job(part, single or fitting(length), length)
            yield Line(f"{job.architecture}, {told(length)}", (job,))
    if part == "ensembles":
        for length in lengths:
            share = replace(length, minutes=length.minutes and length.minutes / len(together))
            jobs = tuple(Job(part, name, replace(share, seed=seed)) for seed, name in enumerate(together))
            yield from (Line(f"{job.architecture}, {told(share)}, seed {job.options.seed}", (job,)) for job in jobs)
            yield Line(f"{len(jobs)} networks, {told(length)}", jobs)
    if part == "byclass":
        # Its test classes are as unequal as its training classes, so nothing is to be made up for.
        job = Job(part, single or fitting(lengths[-1]), replace(lengths[-1], balance=0), "byclass")
        yield Line(f"ByClass: {job.architecture}, {told(job.options)}", (job,))


def fitting(length: Options) -> str:
    """Return the network that is trained alone for so long."""
    return next(name for most, name in SINGLES.items() if (length.minutes or length.epochs) <= most)


def told(length: Options) -> str:
    """Return how long a training is, in words."""
    return f"{length.epochs} epochs" if length.minutes is None else f"{length.minutes:g} min"


@dataclass(frozen=True)
class Glyphs:
    """Pictures ``(n, 28, 28)`` and class indices ``(n,)`` of one part of a split."""

    pictures: NDArray[np.uint8]
    labels: NDArray[np.int64]

    @classmethod
    def of(cls, split: str, part: str, most: int | None = None) -> "Glyphs":
        """Read one file of EMNIST's; with ``most`` only so many, from all over."""
        file = Path(os.environ["DRCAPTCHA_EMNIST"]) / f"emnist-{split}-{part}-images-idx3-ubyte.gz"
        chunks = list(open_files(file, split).chunks(5000))
        pictures = np.concatenate([chunk.images for chunk in chunks])
        labels = np.array([ALPHABETS[split].index(label) for chunk in chunks for label in chunk.labels])
        spread = slice(None, None, max(1, len(labels) // (most or len(labels))))
        return cls(pictures[spread], labels[spread])


class Bench:
    """The folder of results, and what fills it."""

    def __init__(self, folder: Path, subset: int | None) -> None:
        self.folder = folder
        self.subset = subset
        self.file = folder / "networks.jsonl"
        rows = self.file.read_text().splitlines() if self.file.exists() else []
        self.done: dict[str, dict[str, Any]] = {row["key"]: row for row in map(json.loads, rows)}
        self._read: dict[tuple[str, str], Glyphs] = {}

    def glyphs(self, split: str, part: str) -> Glyphs:
        """Return one file, read once."""
        if (split, part) not in self._read:
            self._read[split, part] = Glyphs.of(split, part, self.subset)
        return self._read[split, part]

    def train(self, job: Job) -> None:
        """Train the network of ``job``, unless that is done, and keep its file."""
        if job.key in self.done:
            return
        glyphs, alphabet = self.glyphs(job.split, "train"), ALPHABETS[job.split]
        meter = Meter(self.folder / f"{job.key}.seconds", job.key)
        checkpoint = self.folder / f"{job.key}.npz"
        trained = training.train(
            job.architecture,
            glyphs.pictures,
            glyphs.labels,
            classes=len(alphabet),
            options=job.lengthened(),
            checkpoint=checkpoint,
            progress=meter.tell,
        )
        row = {
            "key": job.key,
            "part": job.part,
            "core_seconds": meter.total,
            "seconds": trained.seconds,
            "steps": trained.steps,
            "epochs": len(trained.history),
            "parameters": parameter_count(trained.network),
            "validation": trained.history[-1].validation_accuracy,
        }
        row |= self._export(job, trained, glyphs, alphabet)
        with self.file.open("a") as out:
            out.write(json.dumps(row) + "\n")
        self.done[job.key] = row
        checkpoint.unlink(missing_ok=True)
        meter.file.unlink(missing_ok=True)
        print(file=sys.stderr)

    def _export(self, job: Job, trained: training.Trained, glyphs: Glyphs, alphabet: Alphabet) -> dict[str, Any]:
        """Write the file that would serve; tell in which numbers, and what 8-bit ones cost on the validation glyphs."""
        kept, held = (side.numpy() for side in training.hold_out(glyphs.pictures))
        right = []
        with TemporaryDirectory() as folder:
            plain, small = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
            export(trained.network, plain)
            quantise(plain, small, glyphs.pictures[kept[:: max(1, len(kept) // CALIBRATION)]])
            for path in (plain, small):
                said = Classifier(path, alphabet.classes, threads=0).probabilities(glyphs.pictures[held])
                right.append(metrics.accuracy(said, glyphs.labels[held]).value)
            served = plain if right[0] - right[1] > MOST_LOST else small
            (self.folder / f"{job.key}.onnx").write_bytes(served.read_bytes())
        return {"numbers": served.stem, "lost": right[0] - right[1]}

    def says(self, job: Job, part: str) -> NDArray[np.float64]:
        """Return what the network of ``job`` says of the validation glyphs (``train``) or of those to ``test`` by."""
        glyphs = self.glyphs(job.split, part).pictures
        wanted = glyphs[training.hold_out(glyphs)[1].numpy()] if part == "train" else glyphs
        classifier = Classifier(self.folder / f"{job.key}.onnx", ALPHABETS[job.split].classes, threads=0)
        return classifier.probabilities(wanted).astype(np.float64)

    def judge(self, line: Line) -> dict[str, Any]:
        """Measure a line on the test file, weighed and calibrated on the validation glyphs."""
        split, rows = line.jobs[0].split, [self.done[job.key] for job in line.jobs]
        learning, judging = (self.glyphs(split, part) for part in ("train", "test"))
        kept, held = (side.numpy() for side in training.hold_out(learning.pictures))
        counts = np.bincount(learning.labels[kept], minlength=len(ALPHABETS[split]))
        shares = ensembles.even(learning.labels[held], len(counts)) if split == "balanced" else None
        validation = np.stack([self.says(job, "train") for job in line.jobs])
        found = ensembles.Found((1.0,) * len(line.jobs), "probability", 0.0, 0.0)
        if not line.alike and shares is not None:
            found = ensembles.find(validation, learning.labels[held], counts)

        def pooled(opinions: NDArray[np.float64]) -> NDArray[np.float64]:
            together = ensembles.combine(opinions, np.array(found.weights), found.pooling)
            return ensembles.correct(together, counts, found.correction)

        temperature = ensembles.calibrate(pooled(validation), learning.labels[held], shares)
        said = pooled(np.stack([self.says(job, "test") for job in line.jobs]))
        said = ensembles.temper(said, temperature)
        right = metrics.accuracy(said, judging.labels)
        return {
            "name": line.name,
            "part": line.jobs[0].part,
            "accuracy": right.value,
            "interval": [right.low, right.high],
            "folded": folded(said, judging.labels, ALPHABETS[split]),
            "top3": metrics.top_k(said, judging.labels, 3).value,
            "log_loss": metrics.log_loss(said, judging.labels),
            "ece": metrics.reliability(said, judging.labels).error,
            "core_seconds": sum(row["core_seconds"] for row in rows),
            "parameters": sum(row["parameters"] for row in rows),
            "epochs": sum(row["epochs"] for row in rows) / len(rows),
            "lost": sum(row["lost"] for row in rows) / len(rows),
            "weights": [round(weight, 3) for weight in found.weights],
            "pooling": found.pooling,
            "correction": found.correction,
            "temperature": temperature,
        }


class Meter:
    """Counts core-seconds over sessions, as far as the checkpoint goes, and prints how far a training is."""

    def __init__(self, file: Path, name: str) -> None:
        self.file = file
        self.name = name
        self._before = float(file.read_text()) if file.exists() else 0.0
        self._epoch: int | None = None
        self._started = time.process_time()

    @property
    def total(self) -> float:
        """Core-seconds so far."""
        return self._before + time.process_time() - self._started

    def tell(self, step: training.Progress) -> None:
        """Note the time at the start of each epoch, when the one before is safe."""
        if step.epoch != self._epoch:
            if self._epoch is not None:
                self.file.write_text(str(self.total))
            self._epoch = step.epoch
            validation = f", validation {step.finished[-1].validation_accuracy:.2%}" if step.finished else ""
            print(
                f"\r{self.name}: epoch {step.epoch}, {step.share:.0%}{validation}, {step.seconds_left:.0f} s left ",
                end="", file=sys.stderr, flush=True,
            )  # fmt: skip


def folded(said: NDArray[np.float64], labels: NDArray[np.int64], alphabet: Alphabet) -> float:
    """Return the accuracy where one look-alike passes for another."""
    pairs = zip(said.argmax(axis=1).tolist(), labels.tolist(), strict=True)
    return float(np.mean([alphabet.alike(alphabet.classes[one], alphabet.classes[other]) for one, other in pairs]))


def table(rows: Sequence[dict[str, Any]]) -> None:
    """Print what was found."""
    print("\n| | right | 95 % interval | folded | top 3 | log-loss | ECE | core-seconds | parameters | epochs |")
    print("| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for row in rows:
        interval = " – ".join(f"{limit:.2%}" for limit in row["interval"])
        print(
            f"| {row['name']} | {row['accuracy']:.2%} | {interval} | {row['folded']:.2%} | {row['top3']:.2%} "
            f"| {row['log_loss']:.3f} | {row['ece']:.2%} | {row['core_seconds']:,.0f} | {row['parameters']:,} "
            f"| {row['epochs']:.0f} |"
        )
    for row in rows:
        chosen = f"{row['pooling']}, correction {row['correction']}, temperature {row['temperature']:.2f}"
        print(f"{row['name']}: weights {row['weights']}, {chosen}, lost to 8-bit numbers {row['lost']:+.2%}")


def draw(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Draw accuracy against core-seconds."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import LogLocator, NullLocator

    figure = Figure(figsize=(8, 5), dpi=144)
    axes = figure.add_subplot()
    colours = {"originals": "#9aa5b8", "single": "#c2410c", "ensembles": "#7c2d12"}
    for part, colour in colours.items():
        some = sorted((row for row in rows if row["part"] == part), key=lambda row: row["core_seconds"])
        seconds, right = [row["core_seconds"] for row in some], [row["accuracy"] for row in some]
        spread = np.array(
            [[row["accuracy"] - row["interval"][0], row["interval"][1] - row["accuracy"]] for row in some]
        )
        style = "" if part == "originals" else "-"
        if some:
            axes.errorbar(seconds, right, spread.T, color=colour, marker="o", linestyle=style, capsize=3, label=part)
        for row in some:
            at = (row["core_seconds"], row["accuracy"])
            beside = (6, 6 if part == "ensembles" else -12)
            axes.annotate(row["name"], at, beside, textcoords="offset points", fontsize=8, color=colour)
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(lambda seconds, _: f"{seconds:,.0f}")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_formatter(lambda share, _: f"{100 * share:.4g}%")
    axes.set_xlabel("core-seconds of training")
    axes.set_title("Test glyphs read rightly, with 95 % intervals", loc="left")
    axes.grid(axis="y", color="#dfe3ea")
    axes.spines[["top", "right"]].set_visible(False)
    if axes.has_data():
        axes.legend(frameon=False)
    figure.tight_layout()
    figure.savefig(path)


def main() -> None:
    parts = ("originals", "single", "ensembles", "byclass")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="where results are kept")
    parser.add_argument("--part", choices=[*parts, "all"], default="all")
    parser.add_argument("--minutes", type=float, nargs="+", default=[4, 10, 30], help="of two cores, for ours")
    parser.add_argument("--epochs", type=int, nargs="+", help="for ours, in place of minutes")
    parser.add_argument("--single", help="the network that is trained alone (default: one that suits the minutes)")
    parser.add_argument("--together", default=",".join(TOGETHER), help="the ensemble's (default: %(default)s)")
    parser.add_argument("--subset", type=int, help="read only so many glyphs of each file, to try whether it runs")
    options = parser.parse_args()
    if not os.environ.get("DRCAPTCHA_EMNIST"):
        raise SystemExit("Set DRCAPTCHA_EMNIST to the folder of the EMNIST files.")
    options.folder.mkdir(parents=True, exist_ok=True)
    bench = Bench(options.folder, options.subset)
    together = options.together.split(",")
    chosen = parts if options.part == "all" else (options.part,)
    lengths = [Options(epochs=count) for count in options.epochs or ()]
    lengths = lengths or [Options(minutes=length) for length in sorted(options.minutes)]
    wanted = [line for part in chosen for line in lines(part, lengths, options.single, together)]
    for line in wanted:
        for job in line.jobs:
            bench.train(job)
    rows = [bench.judge(line) for line in wanted]
    table(rows)
    (options.folder / "table.json").write_text(json.dumps(rows, indent=1))
    draw(rows, options.folder / "training.png")


if __name__ == "__main__":
    main()
