"""Looking back over the whole log: who was honest, and how people read, given what all the votes together say.

Expectation and maximisation by turns (Dawid & Skene 1979, https://doi.org/10.2307/2346806), but with one number a
source in place of a matrix a worker: visitors come too seldom for more. A lie is found where known glyphs were asked,
and where others, a network's opinion among them, agree on something else.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, fields
from math import lgamma
from typing import Self

import numpy as np
import numpy.typing as npt

from handwriting.consensus import honesty
from handwriting.consensus.beliefs import Beliefs, Votes, believe
from handwriting.consensus.reading import LEVELS, Floats, Ints, Reading

ROUNDS = 4
SETTLED = 0.003
"""Mean change of honesty at which the rounds end."""

CHUNK = 2_000
"""Glyphs at a time, which bounds the memory."""

MOST_CORES = 8
"""So many chunks at a time, at the most."""

AMBIGUITY = (0.001, 0.016)
"""The least and the largest share of ambiguous glyphs that is believed beforehand.

With less, none could be found any more; with more, too much is set aside that a few more votes still settle.
"""

ORDINARY = 3.4
"""How many times more ambiguous glyphs than expected seem to be there where there are none.

Some glyphs are misread more often than their class is, without being two characters.
"""

MACHINES = (0.005, 0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.14, 0.2, 0.3)
"""Shares of programs among visitors of which the likeliest is looked for."""

_WATCHED = 8_000
"""So many glyphs with a prior, evenly spread, tell that share."""
_CERTAINTIES = (0.3, 0.5, 1.0, 2.0, 4.0, 8.0)
_SAMPLE = 20_000
_PRIOR_AMBIGUOUS = 5.0
_PRIOR_GLYPHS = 200.0
"""Glyphs that the shares of ambiguous and of unreadable ones are believed on, before any vote."""
_PRIOR_AUDITS = 20.0
"""Audited votes that the belief in the general honesty before any is worth."""


@dataclass(frozen=True)
class Log:
    """All votes ``(v,)``, one a source and glyph, in the order of their glyphs.

    ``glyph`` and ``source`` are positions, ``audit`` tells whether the label was known when the vote was asked for,
    ``weight`` how far its evidence on the source has faded (1: not at all).
    """

    glyph: Ints
    answer: Ints
    source: Ints
    audit: npt.NDArray[np.bool_]
    weight: Floats

    def __len__(self) -> int:
        return len(self.glyph)


@dataclass(frozen=True)
class Hindsight:
    """What the log says of its sources ``(s,)``, in parts of observations, and of how people read."""

    reading: Reading
    trust: Floats
    doubt: Floats
    parts: Floats
    """``(v,)``: what each vote says of its source, -1 to 1, faded."""

    @property
    def percent(self) -> Ints:
        """``(s,)``: the honesty of each source in percent."""
        return honesty.percent(self.trust, self.doubt, self.reading.honesty, self.reading.certainty)


def reestimate(
    log: Log,
    prior: npt.NDArray[np.floating],
    level: Ints,
    missed: Floats,
    reading: Reading,
    *,
    rounds: int = ROUNDS,
    progress: Callable[[float], object] = lambda _: None,
) -> Hindsight:
    """Return what the whole log says, starting from what ``reading`` holds.

    ``prior`` ``(n, K)`` and ``level`` ``(n,)`` belong to the glyphs, ``missed`` ``(s,)`` is the doubt that missed
    controls raise. ``progress`` is told the share that is done after each round.
    """
    hindsight = Hindsight(reading, np.zeros(len(missed)), missed, np.zeros(len(log)))
    for number in range(rounds if len(log) else 0):
        before = hindsight.percent
        hindsight = _round(log, prior, level, missed, hindsight)
        progress((number + 1) / rounds)
        if np.abs(hindsight.percent - before).mean() < 100 * SETTLED:
            break
    return hindsight


def _round(log: Log, prior: npt.NDArray[np.floating], level: Ints, missed: Floats, now: Hindsight) -> Hindsight:
    """Judge all glyphs by what is believed of the sources, then the sources by what is believed of the glyphs."""
    reading, trusted = now.reading, _trusted(log, now)
    size = len(reading.alphabet)
    honest = np.empty(len(log))
    sums = _Sums(np.zeros_like(reading.counts))

    def judged(start: int) -> _Sums:
        first, last = np.searchsorted(log.glyph, [start, start + CHUNK])
        some, levels = slice(first, last), level[start : start + CHUNK]
        votes = Votes(log.glyph[some] - start, log.answer[some], trusted[some])
        beliefs = believe(np.asarray(prior[start : start + CHUNK], np.float64), levels, votes, reading)
        honest[some] = share_of_honest(beliefs, levels, votes, reading)
        return _Sums.of(beliefs, levels, votes, log.audit[some], honest[some])

    with ThreadPoolExecutor(min(os.cpu_count() or 1, MOST_CORES)) as pool:
        for part in pool.map(judged, range(0, len(prior), CHUNK)):
            sums += part
    parts = _evidence(honest, trusted, log, reading)
    trust = np.bincount(log.source, np.maximum(parts, 0), len(missed)).astype(np.float64)
    doubt = np.bincount(log.source, np.maximum(-parts, 0), len(missed)).astype(np.float64)
    checked = log.audit
    lies = np.bincount(log.answer[checked], 1 - honest[checked], size + 2)
    general = (_PRIOR_AUDITS * 0.9 + honest[checked].sum()) / (_PRIOR_AUDITS + checked.sum())
    learned = reading.learned(
        counts=sums.counts,
        lies=lies,
        honesty=float(np.clip(general, 0.3, 0.98)),
        certainty=_certainty(honest, log, float(general)),
        machines=_machines(log, prior, level, trusted, reading),
        **sums.shares(reading),
    )
    return Hindsight(learned, trust, doubt + missed, parts)


@dataclass
class _Sums:
    """What a round adds up over the chunks."""

    counts: Floats
    ambiguous: float = 0.0
    expected: float = 0.0
    unreadable: float = 0.0
    glyphs: int = 0

    @classmethod
    def of(cls, beliefs: Beliefs, level: Ints, votes: Votes, audit: npt.NDArray[np.bool_], honest: Floats) -> Self:
        """Take in a chunk. How people read is learned where the label was known; what glyphs are, where it was not."""
        glyph, answer = votes.glyph[audit], votes.answer[audit]
        classes, answers = beliefs.clear.shape[1], beliefs.clear.shape[1] + 2
        by_answer = np.zeros((LEVELS * answers, classes))
        np.add.at(by_answer, level[glyph] * answers + answer, beliefs.clear[glyph] * honest[audit][:, None])
        asked = votes.glyph[~audit]
        asked = asked[np.flatnonzero(np.diff(asked, prepend=-1))]
        return cls(
            by_answer.reshape(LEVELS, answers, classes).transpose(0, 2, 1),
            float(beliefs.ambiguous[asked].sum()),
            float(beliefs.expected[asked].sum()),
            float(beliefs.unreadable[asked].sum()),
            len(asked),
        )

    def __iadd__(self, other: Self) -> Self:
        for one in fields(self):
            setattr(self, one.name, getattr(self, one.name) + getattr(other, one.name))
        return self

    def shares(self, before: Reading) -> dict[str, float]:
        """Return the shares of ambiguous and unreadable glyphs, never so small that none could be found any more.

        Most glyphs are asked about too seldom to tell, so the share moves by how many more are found than expected.
        """
        more = (_PRIOR_AMBIGUOUS + self.ambiguous) / (_PRIOR_AMBIGUOUS + ORDINARY * self.expected)
        blind = (_PRIOR_GLYPHS * before.illegibility + self.unreadable) / (_PRIOR_GLYPHS + self.glyphs)
        return {
            "ambiguity": float(np.clip(before.ambiguity * more, *AMBIGUITY)),
            "illegibility": float(np.clip(blind, 0.0005, 0.2)),
        }


def share_of_honest(beliefs: Beliefs, level: Ints, votes: Votes, reading: Reading) -> Floats:
    """Return ``(v,)``: the probability that each vote was an honest reading, given all votes of its glyph."""
    by_class = reading.responsibility[votes.honesty, level[votes.glyph], votes.answer]
    rows = np.arange(len(votes))[:, None]
    either = np.maximum(by_class[rows, beliefs.first[votes.glyph]], by_class[rows, beliefs.second[votes.glyph]])
    share: Floats = (
        np.einsum("vc,vc->v", beliefs.clear[votes.glyph], by_class[:, :-1])
        + (beliefs.pairs[votes.glyph] * either).sum(1)
        + beliefs.unreadable[votes.glyph] * by_class[:, -1]
    )
    return np.clip(share, 1e-6, 1 - 1e-6)


def _machines(log: Log, prior: npt.NDArray[np.floating], level: Ints, trusted: Ints, reading: Reading) -> float:
    """Return half the share of programs that makes the votes likeliest, all else being as it is.

    Half, since people too go wrong where networks do, which makes that share look larger. When a glyph is asked about
    again hangs on its votes, but not on what they don't tell, so no glyph is left out.
    """
    asked = log.glyph[~log.audit & (level[log.glyph] > 0)]
    asked = asked[np.flatnonzero(np.diff(asked, prepend=-1))]
    some = asked[:: -(-len(asked) // _WATCHED) or 1]
    if len(some) < 100:
        return reading.machines
    seen = np.isin(log.glyph, some)
    votes = Votes(np.searchsorted(some, log.glyph[seen]), log.answer[seen], trusted[seen])
    chosen, levels = np.asarray(prior[some], np.float64), level[some]

    def fit(share: float) -> float:
        return float(believe(chosen, levels, votes, reading.learned(machines=share)).evidence.sum())

    return max(MACHINES, key=fit) / 2


def _trusted(log: Log, now: Hindsight) -> Ints:
    """Return ``(v,)``: the honesty of each vote's source in percent, by all that is known of it but that vote."""
    trust = now.trust[log.source] - np.maximum(now.parts, 0)
    doubt = now.doubt[log.source] - np.maximum(-now.parts, 0)
    return honesty.percent(np.maximum(trust, 0), np.maximum(doubt, 0), now.reading.honesty, now.reading.certainty)


def _evidence(honest: Floats, trusted: Ints, log: Log, reading: Reading) -> Floats:
    """Return what each vote says of its source, without what was believed of that before."""
    before = np.clip(trusted / 100, 0.005, 0.995)
    ratio = honest / (1 - honest) * (1 - before) / before
    parts: Floats = honesty.evidence(ratio, np.ones(len(ratio)), reading.honesty) * log.weight
    return parts


def _certainty(honest: Floats, log: Log, general: float) -> float:
    """Return how many votes the general honesty is worth for one source: little where some always lie, others never.

    The likeliest of a few values, by the beta-binomial of the audited votes of sources that have several.
    """
    checked = log.audit
    said = np.bincount(log.source[checked], honest[checked])
    total = np.bincount(log.source[checked])
    several = np.flatnonzero(total >= 2)[:_SAMPLE]
    if len(several) < 20:
        return 1.0
    right, wrong = np.rint(said[several]), total[several] - np.rint(said[several])
    pairs, counts = np.unique(np.stack([right, wrong], 1), axis=0, return_counts=True)

    def fit(certainty: float) -> float:
        a, b = general * certainty, (1 - general) * certainty
        return sum(
            float(count)
            * (lgamma(a + r) + lgamma(b + w) - lgamma(a + b + r + w) + lgamma(a + b) - lgamma(a) - lgamma(b))
            for (r, w), count in zip(pairs.tolist(), counts.tolist(), strict=True)
        )

    return max(_CERTAINTIES, key=fit)
