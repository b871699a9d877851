"""Letting programs read fresh captchas, to know what these stop: the best ensemble, and a look-up of raw glyphs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from django.conf import settings
from numpy.typing import NDArray

from drcaptcha.challenges.composing import deal
from drcaptcha.challenges.models import Attack, Captcha, Slot
from drcaptcha.glyphs.models import Glyph, Split
from drcaptcha.learning import predicting
from drcaptcha.learning.predicting import Recogniser
from handwriting import attacks, rendering
from handwriting.alphabet import ALPHABETS, Alphabet

Progress = Callable[[int], object]
BATCH = 50


@dataclass(frozen=True)
class Trial:
    """One captcha as the attacker has it, and what the ensemble typed: by itself, and told where glyphs stand.

    ``pieces`` (k, 28, 28) are what it took for glyphs; None where it could not cut the picture into so many.
    """

    picture: bytes
    slots: list[Slot]
    typed: list[str]
    told: list[str]
    pieces: NDArray[np.uint8] | None


def attack(
    count: int, difficulty: str, *, now: datetime, rng: np.random.Generator, progress: Progress = lambda _: None
) -> tuple[Attack, list[Trial]]:
    """Let programs read ``count`` fresh captchas; store and return what came of it, with all trials.

    They are judged as visitors are. The look-up has every training glyph of this installation and what it is said to
    be, and takes the pieces that the ensemble has cut.

    Raises:
        NotReady: no ensemble serves yet, or there are too few controls.
    """
    recogniser, trials = predicting.serving(), []
    for start in range(0, count, BATCH):
        hands = deal(min(BATCH, count - start), rng)
        glyphs = Glyph.objects.in_bulk({slot.glyph for hand in hands for slot in hand})
        for hand in hands:
            raw = np.stack([glyphs[slot.glyph].array for slot in hand])
            trials.append(_trial(rendering.render(raw, rng, rendering.STYLES[difficulty]), hand, recogniser))
            progress(1)
    looked_up = _look_up(trials)
    told = [one.told for one in trials]
    passed, right = _judge(trials, [one.typed for one in trials])
    found, found_right = _judge(trials, looked_up)
    made = Attack.objects.create(
        difficulty=difficulty,
        captchas=count,
        pass_rate=passed,
        per_character=right,
        nearest_neighbour_pass_rate=found,
        nearest_neighbour_per_character=found_right,
        told_pass_rate=_judge(trials, told)[0],
        created=now,
    )
    return made, trials


def resists(captcha: Captcha, recogniser: Recogniser) -> bool:
    """Return whether a captcha is worth keeping: the ensemble fails it, though it reads each of its glyphs alone.

    One that holds a glyph which the ensemble can't read as it is would be hard for people too.
    """
    alphabet, slots = _alphabet(), captcha.slots
    glyphs = Glyph.objects.in_bulk([slot.glyph for slot in slots])
    alone = _named(recogniser, np.stack([glyphs[slot.glyph].array for slot in slots]))
    if not captcha.judge(slots, alone, alphabet).passed:
        return False
    reading = attacks.read(bytes(captcha.picture), len(slots), recogniser.committee.probabilities)
    typed = _characters(recogniser, reading.probabilities) if reading else []
    return not captcha.judge(slots, typed, alphabet).passed


def _trial(picture: rendering.Picture, slots: list[Slot], recogniser: Recogniser) -> Trial:
    reader = recogniser.committee.probabilities
    reading = attacks.read(picture.data, len(slots), reader)
    told = attacks.read_at(picture.data, picture.boxes, reader)
    return Trial(
        picture.data,
        slots,
        _characters(recogniser, reading.probabilities) if reading else [],
        _characters(recogniser, told.probabilities),
        reading.glyphs if reading else None,
    )


def _look_up(trials: Sequence[Trial]) -> list[list[str]]:
    """Return what the nearest known glyphs to the pieces of each trial are said to be."""
    known = Glyph.objects.filter(split=Split.TRAIN).exclude(label="", truth="").values_list("picture", "truth", "label")
    rows = list(known.iterator(10_000))
    pictures = np.frombuffer(b"".join(bytes(row[0]) for row in rows), np.uint8).reshape(-1, 28, 28)
    said = [truth or label for _, truth, label in rows]
    cut = [one.pieces for one in trials if one.pieces is not None]
    names = iter([said[place] for place in attacks.nearest(np.concatenate(cut), pictures)] if cut else [])
    return [[next(names) for _ in one.pieces] if one.pieces is not None else [] for one in trials]


def _judge(trials: Sequence[Trial], typed: Sequence[list[str]]) -> tuple[float, float]:
    """Return which share of the captchas these answers pass, and which share of controls they have right."""
    alphabet, passes, right, controls = _alphabet(), 0, 0, 0
    for trial, answer in zip(trials, typed, strict=True):
        judgement = Captcha.judge(trial.slots, answer, alphabet)
        passes += judgement.passed
        right += len(judgement.right)
        controls += sum(slot.gates for slot in trial.slots)
    return passes / len(trials), right / max(controls, 1)


def _named(recogniser: Recogniser, glyphs: NDArray[np.uint8]) -> list[str]:
    return _characters(recogniser, recogniser.committee.probabilities(glyphs))


def _characters(recogniser: Recogniser, said: NDArray[np.floating]) -> list[str]:
    return [recogniser.committee.classes[place] for place in said.argmax(1)]


def _alphabet() -> Alphabet:
    return ALPHABETS[settings.DRCAPTCHA_ALPHABET]
