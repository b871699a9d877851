"""How well pictures of one character are read, whatever it was written with and on, beside the clean glyph.

    DRCAPTCHA_EMNIST=/path/to/emnist .venv/bin/python benchmarks/drawings.py [--state FOLDER] [--count 1000]

Characters come from three sources: glyphs of EMNIST's training file that the network was validated on and did not learn
from; the starter set's test glyphs, made from typefaces; and polylines as a finger leaves them on a canvas, written
down in this benchmark. Each is drawn anew in many ways, encoded as a file and read as a prediction reads it. Prints,
for each way, the share read right and how many points that loses against the clean glyph (for fingers, which have none:
against the plain drawing). Without --state a network is trained for 4 epochs in a folder that is then deleted.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from zlib import crc32

import numpy as np
from drawing_looks import HARSH_LOOKS, LOOKS, draw
from drawing_sources import Character, from_finger, from_glyph
from numpy.typing import NDArray
from PIL import Image

from handwriting.alphabet import BALANCED
from handwriting.ensembles import temper
from handwriting.formats import starter
from handwriting.formats.emnist import open_files
from handwriting.preprocessing import PictureError, read

if TYPE_CHECKING:
    from drcaptcha.learning.models import Ensemble, Evaluation

MANAGE = str(Path(__file__).parents[1] / "manage.py")
COMMANDS = ("migrate -v0", "importemnist --split balanced", "train --networks compact --epochs 4 --seed 1")

Glyphs = NDArray[np.uint8]


def prepare(environment: dict[str, str]) -> None:
    """Make an installation with one network, unless it is there."""
    if not (Path(environment["DRCAPTCHA_STATE"]) / "media").exists():
        for words in COMMANDS:
            subprocess.run([sys.executable, MANAGE, *words.split()], env=environment, check=True)


def serving() -> "tuple[Ensemble, Evaluation]":
    """Return the ensemble that is measured, and by what it serves."""
    from drcaptcha.learning import registry

    judged = registry.champion()
    if judged is None or judged.ensemble is None:
        raise SystemExit("This installation has no ensemble: run train first.")
    return judged.ensemble, judged


def held_out() -> tuple[Glyphs, list[str]]:
    """Return the glyphs that no network of the ensemble has learned from, with their labels, in a random order."""
    from drcaptcha.glyphs.models import Glyph
    from drcaptcha.learning import snapshots

    held = [snapshots.of(network) for network in serving()[0].networks.all()]
    keys = set.intersection(*[set(one.keys[one.held].tolist()) for one in held if one])
    rows = list(Glyph.objects.filter(pk__in=keys).order_by("pk").values_list("picture", "label"))
    order = np.random.default_rng(0).permutation(len(rows))
    pictures = np.frombuffer(b"".join(bytes(rows[index][0]) for index in order), np.uint8)
    return pictures.reshape(-1, 28, 28), [rows[index][1] for index in order]


def starter_test() -> tuple[Glyphs, list[str]]:
    """Return the starter set's test glyphs in a random order."""
    chunks = [chunk for chunk in open_files(starter.FOLDER, "starter").chunks(5000) if chunk.part == "test"]
    glyphs, labels = np.concatenate([c.images for c in chunks]), [str(label) for c in chunks for label in c.labels]
    order = np.random.default_rng(0).permutation(len(glyphs))
    return glyphs[order], [labels[index] for index in order]


def fingers(count: int) -> list[Character]:
    """Return at least ``count`` characters written with a finger."""
    rng = np.random.default_rng(0)
    written: list[Character] = []
    while len(written) < count:
        written += from_finger(rng)
    return written


def read_all(job: tuple[Sequence[Character], str]) -> Glyphs:
    """Draw characters in one way and read them: (n, 28, 28). What is refused comes out black."""
    characters, name = job
    made = np.zeros((len(characters), 28, 28), np.uint8)
    for index, character in enumerate(characters):
        rng = np.random.default_rng([crc32(name.encode()), index])
        try:
            made[index] = read(draw(character, LOOKS[name], rng))
        except PictureError:
            continue
    return made


class Reader:
    """The ensemble that serves, and what it is worth on glyphs whose truth is known."""

    def __init__(self, characters: Sequence[Character]) -> None:
        from drcaptcha.learning import registry

        _, judged = serving()
        self._committee = registry.committee(judged)
        self._temperature = judged.temperature
        self._truth = np.array([BALANCED.index(one.truth) for one in characters])

    def worth(self, glyphs: Glyphs) -> tuple[float, float]:
        """Return the share read right, and how much more it claimed, both in points; a black glyph was refused."""
        shown = glyphs.any(axis=(1, 2))
        said = temper(self._committee.probabilities(glyphs), self._temperature)
        right = said.argmax(axis=1) == self._truth
        return 100 * float((right & shown).mean()), 100 * float((said.max(axis=1) - right)[shown].mean())


def measure(
    source: str, characters: Sequence[Character], clean: Glyphs | None, names: Sequence[str], jobs: int
) -> Iterator[tuple[str, Glyphs]]:
    """Print a table's rows for one source; yield what was read in each way."""
    reader = Reader(characters)
    base = None
    if clean is not None:
        base, claimed = reader.worth(clean)
        print(f"| {source} | clean glyph | {base:.1f} | | {claimed:+.1f} | |", flush=True)
    started = time.perf_counter()
    with ProcessPoolExecutor(jobs) as pool:
        for name, glyphs in zip(names, pool.map(read_all, [(characters, name) for name in names]), strict=True):
            share, claimed = reader.worth(glyphs)
            base = share if base is None else base
            refused = 100 * float((~glyphs.any(axis=(1, 2))).mean())
            kind = ", harsh" if name in HARSH_LOOKS else ""
            row = f"{share:.1f} | {base - share:+.1f} | {claimed:+.1f} | {refused:.1f}"
            print(f"| {source} | {name}{kind} | {row} |", flush=True)
            yield name, glyphs
    print(f"{source}: {time.perf_counter() - started:.0f} s", file=sys.stderr)


def show(characters: Sequence[Character], outcomes: dict[str, Glyphs], file: Path) -> None:
    """Draw a sheet: of every way one picture, and beside it the glyph that was read."""
    cell, columns = 140, 8
    rows = -(-len(outcomes) // (columns // 2))
    sheet = Image.new("RGB", (columns * cell, rows * cell), (136, 136, 170))
    for place, (name, glyphs) in enumerate(outcomes.items()):
        index = place % len(characters)
        rng = np.random.default_rng([crc32(name.encode()), index])
        picture = Image.open(BytesIO(draw(characters[index], LOOKS[name], rng))).convert("RGBA")
        picture.thumbnail((cell - 8, cell - 8))
        corner = (place % (columns // 2) * 2 * cell, place // (columns // 2) * cell)
        sheet.paste(picture, corner, picture)
        sheet.paste(Image.fromarray(glyphs[index]).resize((cell - 8, cell - 8)), (corner[0] + cell, corner[1]))
    sheet.save(file)


def run(options: argparse.Namespace) -> None:
    """Measure all sources and print the table."""
    names = [name for name in LOOKS if not options.only or any(word in name for word in options.only.split(","))]
    print("| source | drawn | right, % | lost, points | claimed less true | refused, % |")
    print("| --- | --- | ---: | ---: | ---: | ---: |")
    for source, (glyphs, labels) in {"EMNIST": held_out(), "starter": starter_test()}.items():
        if source in options.sources:
            clean = glyphs[: options.count]
            characters = [from_glyph(*pair) for pair in zip(clean, labels[: options.count], strict=True)]
            outcomes = dict(measure(source, characters, clean, names, options.jobs))
            if options.sheet and source == "EMNIST":
                show(characters, outcomes, options.sheet)
    if "finger" in options.sources:
        for _ in measure("finger", fingers(options.count), None, names, options.jobs):
            pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--state", type=Path, help="an installation whose ensemble is measured")
    parser.add_argument("--count", type=int, default=1000, help="characters of each source")
    parser.add_argument("--sources", default="EMNIST,starter,finger")
    parser.add_argument("--only", default="", help="ways whose name has one of these words, between commas")
    parser.add_argument("--sheet", type=Path, help="a picture of every way to write here")
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    if not os.environ.get("DRCAPTCHA_EMNIST"):
        raise SystemExit("Set DRCAPTCHA_EMNIST to the folder of the EMNIST files.")
    with TemporaryDirectory() as folder:
        state = str((options.state or Path(folder)).absolute())
        own = {"DRCAPTCHA_STATE": state, "DATABASE_URL": "", "DJANGO_SETTINGS_MODULE": "drcaptcha.settings"}
        os.environ |= own
        prepare(dict(os.environ))
        import django

        django.setup()
        run(options)


if __name__ == "__main__":
    main()
