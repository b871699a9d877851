"""A log of votes of which every rule gets the same: so many votes on each glyph, whoever gave them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from drcaptcha.challenges.models import LEAST_CONTROLS
from drcaptcha.glyphs.models import Glyph, Split, State
from drcaptcha.learning.models import Prior
from handwriting.alphabet import BALANCED
from handwriting.consensus.beliefs import Votes, believe, levels
from handwriting.consensus.estimation import Log, reestimate
from handwriting.consensus.reading import Reading
from handwriting.consensus.verdicts import given_prior
from handwriting.crowds import AMBIGUOUS, CROWDS, Crowd, Nature, likeness

CONTROLS = 6_000
SIZE = len(BALANCED)


@dataclass(frozen=True)
class FixedLog:
    """Votes ``(v,)`` on probes, which come first, and audits: the rest, whose class is known. ``truth`` ``(n,)``."""

    truth: NDArray[np.int64]
    probes: int
    prior: NDArray[np.float32]
    glyph: NDArray[np.int64]
    source: NDArray[np.int64]
    answer: NDArray[np.int64]

    @classmethod
    def of(cls, crowd: str, votes: int, probes: int, *, seed: int) -> Self:
        """Let a crowd vote ``votes`` times on each of ``probes`` glyphs; who fails the controls gives no vote."""
        rng = np.random.default_rng(seed)
        rows = [_sample(state, count, rng) for state, count in ((State.UNKNOWN, probes), (State.CONTROL, CONTROLS))]
        truth = np.array([BALANCED.index(row[1]) for row in rows[0] + rows[1]], np.int64)
        pictures = np.frombuffer(b"".join(row[2] for row in rows[0] + rows[1]), np.uint8).reshape(-1, 28, 28)
        said = dict(Prior.objects.values_list("glyph", "probabilities"))
        prior = np.stack([np.frombuffer(said[row[0]], np.float16) for row in rows[0]]).astype(np.float32)
        like = likeness(pictures, pictures[probes:], truth[probes:], SIZE)
        machine = np.concatenate([prior.argmax(1), truth[probes:]])
        nature = Nature(ambiguous=AMBIGUOUS if crowd == "ambiguous" else 0.0)
        visitors = Crowd(BALANCED, truth, like, machine, CROWDS[crowd], nature, rng)
        cast = _cast(visitors, np.tile(np.arange(probes), votes), rng)
        return cls(truth, probes, prior, *cast)

    def write(self, file: Path) -> Path:
        """Write the log as crowd-kit reads it: an audit is a task like any other."""
        rows = zip(self.glyph.tolist(), self.source.tolist(), self.answer.tolist(), strict=True)
        file.write_text("task,worker,label\n" + "".join(f"{g},{s},{a}\n" for g, s, a in rows))
        return file

    def accuracy(self, named: Mapping[int, int]) -> float:
        """Return the share of all probes that are named rightly."""
        return float(np.mean([named.get(glyph, -1) == self.truth[glyph] for glyph in range(self.probes)]))

    def ours(self, *, prior: bool) -> dict[int, int]:
        """Return the likeliest class of every probe by our estimate of the log."""
        count = len(self.truth)
        known = np.full((count, SIZE), 1 / SIZE, np.float32)
        scored = np.zeros(count, bool)
        if prior:
            known[: self.probes], scored[: self.probes] = np.maximum(self.prior, 1e-5), True
        reading, none = Reading.initial(BALANCED), np.zeros(count - self.probes)
        known[self.probes :] = given_prior(self.truth[self.probes :], none, none, reading.affinity)
        level = levels(known, scored)
        order = np.argsort(self.glyph, kind="stable")
        log = Log(
            self.glyph[order],
            self.answer[order],
            self.source[order],
            self.glyph[order] >= self.probes,
            np.ones(len(order)),
        )
        seen = reestimate(log, known, level, np.zeros(self.source.max() + 1), reading, rounds=12)
        votes = Votes(log.glyph, log.answer, seen.percent[log.source])
        likeliest = believe(known.astype(np.float64), level, votes, seen.reading).distribution.argmax(1)
        return dict(enumerate(likeliest.tolist()))


def _sample(state: State, count: int, rng: np.random.Generator) -> list[tuple[int, str, bytes]]:
    glyphs = Glyph.objects.filter(split=Split.TRAIN, state=state)
    keys = rng.permutation(np.fromiter(glyphs.order_by("pk").values_list("pk", flat=True), np.int64))[:count]
    rows: list[tuple[int, str, bytes]] = []
    for some in np.array_split(keys, max(1, count // 5_000)):
        found = Glyph.objects.filter(pk__in=some.tolist()).order_by("pk").values_list("pk", "truth", "picture")
        rows += [(key, truth, bytes(picture)) for key, truth, picture in found]
    return rows


def _cast(
    crowd: Crowd, asked: NDArray[np.int64], rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Return glyph, source and answer of every vote: two probes and half an audit an answer, until all were given."""
    first_known = int(asked.max()) + 1
    waiting = rng.permutation(asked).tolist()
    votes: list[tuple[int, int, int]] = []
    while waiting:
        for visitor in crowd.arrive(64):
            if not waiting:
                break
            probes = [waiting.pop() for _ in range(min(2, len(waiting)))]
            controls = rng.integers(first_known, len(crowd.truth), LEAST_CONTROLS).tolist()
            audits = rng.integers(first_known, len(crowd.truth), rng.integers(2)).tolist()
            shown = controls + probes + audits
            gates = [place < LEAST_CONTROLS for place in range(len(shown))]
            typed = crowd.answer(visitor, shown, gates)
            right = all(
                one < SIZE and BALANCED.alike(BALANCED.classes[one], BALANCED.classes[crowd.truth[glyph]])
                for one, glyph in zip(typed[:LEAST_CONTROLS], controls, strict=True)
            )
            if not right:
                waiting += probes
                rng.shuffle(waiting[-50:])
                continue
            pairs = zip(shown[LEAST_CONTROLS:], typed[LEAST_CONTROLS:], strict=True)
            votes += [(glyph, visitor.number, answer) for glyph, answer in pairs if answer < SIZE]
    table = np.array(votes, np.int64)
    # One vote a source and glyph.
    _, kept = np.unique(table[:, :2], axis=0, return_index=True)
    return tuple(table[np.sort(kept)].T)
