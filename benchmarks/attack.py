"""How many captchas somebody passes who trains a network on this very rendering, which is open.

    OMP_NUM_THREADS=1 .venv/bin/python benchmarks/attack.py [--difficulties easy normal hard] [--learn 12000]
        [--epochs 4] [--captchas 500] [--keep FOLDER] [--ensembles 1 2] [--pool]

Works on the installation that DRCAPTCHA_STATE names, and changes nothing there. The attacker has all its training
glyphs with their truth, as who has EMNIST does, renders captchas of them, cuts these where the attack of the command
``attack`` would, and trains ``compact`` on the pieces and on wrong cuts, which are a class of their own. Then it reads
fresh captchas, cut where that network is surest of all pieces together, and is judged as visitors are.

With ``--keep`` its network is kept in that folder, or taken from there if it was learned before. ``--ensembles`` of the
installation, which have learned from raw glyphs alone, read the same captchas as the command ``attack`` has them read.
With ``--pool`` all of them read the captchas that wait in the pool as well: hardened ones, say.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from handwriting import attacks, rendering
from handwriting.alphabet import BALANCED, Alphabet
from handwriting.attacks.cutting import NARROWEST, Reading, between, find_cuts, read_row
from handwriting.attacks.ink import REDUCTION, lift
from handwriting.metrics import share

if TYPE_CHECKING:
    from drcaptcha.challenges.models import Captcha

Attacker = Callable[[bytes, int], Reading | None]
"""From a captcha's file and how many characters it has to what they are; None where it can't be cut into so many."""

RIGHT_CUTS, WRONG_CUTS = 2, 5
"""So many pieces are learned for each character, and so many that are none from each captcha."""
REACH = 4.0
"""Pixels of ink from the middle between two glyphs within which a cut is a right one."""


def lesson(
    glyphs: NDArray[np.uint8], style: rendering.Style, rng: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.intp]]:
    """Render glyphs (k, 28, 28); return pieces (n, 28, 28) and which glyph each holds (n,), -1 where it is none."""
    picture = rendering.render(glyphs, rng, style)
    ink = lift(picture.data)
    cuts, _ = find_cuts(ink)
    left, _, right, _ = (picture.boxes / REDUCTION).T
    borders = np.concatenate([left[:1], (right[:-1] + left[1:]) / 2, right[-1:]])
    middles = cuts.mean(axis=1)
    starts, ends = np.nonzero(np.triu(middles[None] - middles[:, None] >= NARROWEST, 1))
    # Outside of the first and the last glyph there is nothing, so a cut may lie anywhere there.
    near = np.abs(middles[:, None] - borders) <= REACH
    near[:, 0] |= middles < borders[0]
    near[:, -1] |= middles > borders[-1]
    right_ones = near[starts, :-1] & near[ends, 1:]
    held = np.where(right_ones.any(axis=1), right_ones.argmax(axis=1), -1)
    chosen = [
        piece
        for place in range(-1, len(glyphs))
        for piece in rng.permutation(np.flatnonzero(held == place))[: RIGHT_CUTS if place >= 0 else WRONG_CUTS]
    ]
    pieces = between(ink, cuts, starts[chosen], ends[chosen])
    named = dict(zip(zip(starts, ends, strict=True), held, strict=True))
    return pieces.glyphs, np.array([named[pair] for pair in zip(pieces.starts, pieces.ends, strict=True)], np.intp)


def learn(
    file: Path, difficulty: str, captchas: int, epochs: int, *, alphabet: Alphabet, rng: np.random.Generator
) -> None:
    """Train on rendered captchas, and write the network, whose last class is a wrong cut, to ``file``."""
    from drcaptcha.glyphs.models import Glyph, Split
    from handwriting.networks.export import export
    from handwriting.networks.training import Options, train

    known = Glyph.objects.filter(split=Split.TRAIN).exclude(truth="").values_list("picture", "truth")
    rows = [(bytes(picture), alphabet.index(truth)) for picture, truth in known.iterator(10_000)]
    pictures = np.frombuffer(b"".join(row[0] for row in rows), np.uint8).reshape(-1, 28, 28)
    labels = np.array([row[1] for row in rows])
    shown, said = [], []
    for _ in range(captchas):
        picked = rng.integers(len(rows), size=rng.integers(5, 8, endpoint=True))
        pieces, held = lesson(pictures[picked], rendering.STYLES[difficulty], rng)
        shown.append(pieces)
        said.append(np.where(held < 0, len(alphabet), labels[picked][held]))
    glyphs, classes = np.concatenate(shown), np.concatenate(said)
    _, fresh = np.unique(glyphs.reshape(len(glyphs), -1), axis=0, return_index=True)
    options = Options(epochs=epochs, precision="float32")
    trained = train("compact", glyphs[fresh], classes[fresh], classes=len(alphabet) + 1, options=options)
    export(trained.network, file)


def learned(file: Path, alphabet: Alphabet) -> Attacker:
    """Return who reads by the network in ``file``, the probability of a wrong cut left out."""
    from handwriting.inference import Classifier

    classifier = Classifier(file, [*alphabet.classes, "wrong"])
    return lambda picture, count: read_row(lift(picture), count, lambda some: classifier.probabilities(some)[:, :-1])


def untaught(ensemble: int) -> Attacker:
    """Return who reads by an ensemble of the installation, as the command ``attack`` does."""
    from drcaptcha.learning.models import Ensemble
    from drcaptcha.learning.predicting import by_ensemble

    reader = by_ensemble(Ensemble.objects.get(pk=ensemble)).committee.probabilities
    return lambda picture, count: attacks.read(picture, count, reader)


def fresh(count: int, difficulty: str, rng: np.random.Generator) -> "Iterator[Captcha]":
    from django.utils import timezone

    from drcaptcha.challenges.composing import compose

    for start in range(0, count, 50):
        yield from compose(min(50, count - start), now=timezone.now(), rng=rng, difficulty=difficulty)


def judge(captchas: "Iterator[Captcha]", attacker: Attacker, alphabet: Alphabet) -> str:
    """Return cells of the table: how many captchas, the share passed with its interval, the share of controls read."""
    passes = right = controls = total = 0
    for captcha in captchas:
        reading = attacker(bytes(captcha.picture), captcha.length)
        typed = [alphabet.classes[place] for place in reading.probabilities.argmax(1)] if reading else []
        judgement = captcha.judge(captcha.slots, typed, alphabet)
        passes, right = passes + judgement.passed, right + len(judgement.right)
        controls, total = controls + sum(slot.gates for slot in captcha.slots), total + 1
    if not total:
        return "0 | – | –"
    rate = share(passes, total)
    return f"{total} | {rate.value:.0%} ({rate.low:.0%}–{rate.high:.0%}) | {right / controls:.0%}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--difficulties", nargs="*", choices=rendering.STYLES, default=list(rendering.STYLES))
    parser.add_argument("--learn", type=int, default=12_000, help="captchas to learn from")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--captchas", type=int, default=500)
    parser.add_argument("--keep", type=Path, help="folder of the networks that are learned")
    parser.add_argument("--ensembles", type=int, nargs="*", default=[], help="let these ensembles read as well")
    parser.add_argument("--pool", action="store_true", help="read those of the pool as well")
    options = parser.parse_args()
    os.environ["DJANGO_SETTINGS_MODULE"] = "drcaptcha.settings"
    import django

    django.setup()
    from django.conf import settings

    from drcaptcha.challenges.models import NEVER, Captcha
    from handwriting.alphabet import ALPHABETS

    alphabet = ALPHABETS.get(settings.DRCAPTCHA_ALPHABET, BALANCED)
    folder = options.keep or Path(tempfile.mkdtemp())
    folder.mkdir(exist_ok=True)
    print("| difficulty | who | captchas | passes | of the controls it reads |")
    print("| --- | --- | ---: | ---: | ---: |")
    for difficulty in options.difficulties:
        file = folder / f"{difficulty}.onnx"
        name = "who learned it before"
        if not file.exists():
            start = time.process_time()
            learn(
                file,
                difficulty,
                options.learn,
                options.epochs,
                alphabet=alphabet,
                rng=np.random.default_rng(1),
            )
            name = f"who learned it in {(time.process_time() - start) / 60:.0f} core-minutes"
        attackers = {name: learned(file, alphabet)}
        attackers |= {f"ensemble {number}": untaught(number) for number in options.ensembles}
        for who, attacker in attackers.items():
            drawn = fresh(options.captchas, difficulty, np.random.default_rng(2))
            print(f"| {difficulty} | {who} | {judge(drawn, attacker, alphabet)} |", flush=True)
            if options.pool:
                waiting = Captcha.objects.filter(difficulty=difficulty).exclude(available=NEVER)[: options.captchas]
                print(f"| {difficulty}, pool | {who} | {judge(waiting.iterator(), attacker, alphabet)} |", flush=True)


if __name__ == "__main__":
    main()
