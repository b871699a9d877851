"""What a glyph is, given all its votes: one character, two at once, or none that can be read.

The posterior is a function of the votes as a set: their order does not matter, and it can be computed anew at any time.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from handwriting.consensus.reading import EASY, Floats, Ints, Reading

CANDIDATES = 4
"""Two of so many likeliest classes may make up an ambiguous glyph."""

UNFORESEEN = 0.05
"""How readily a glyph is two characters of which the prior foresees but one: what people say against a sure network."""

SHORT = 32
"""Votes on a glyph, up to which they are added one by one for all glyphs together."""

_PAIRS = np.array([(a, b) for a in range(CANDIDATES) for b in range(a + 1, CANDIDATES)])


@dataclass(frozen=True)
class Votes:
    """Votes as arrays ``(v,)``: the row of the glyph, the answer, the source's honesty in percent.

    Of several votes of one source for one glyph only one may be given.
    """

    glyph: Ints
    answer: Ints
    honesty: Ints

    def __len__(self) -> int:
        return len(self.glyph)

    def sorted(self) -> "Votes":
        """Return the same votes in the one order that depends on nothing but themselves."""
        order = np.lexsort((self.honesty, self.answer, self.glyph))
        return Votes(self.glyph[order], self.answer[order], self.honesty[order])


@dataclass(frozen=True)
class Beliefs:
    """Posterior probabilities of ``n`` glyphs, which add up to 1 over all three.

    ``clear`` ``(n, K)``: it is this character. ``pairs`` ``(n, p)``: it is both of the two classes that ``first`` and
    ``second`` ``(n, p)`` name. ``unreadable`` ``(n,)``: it is none.
    """

    clear: Floats
    pairs: Floats
    first: Ints
    second: Ints
    unreadable: Floats
    expected: Floats
    """``(n,)``: the probability that each is one of these pairs, before any vote."""
    evidence: Floats
    """``(n,)``: the logarithm of how probable its votes were, but for what does not hang on ``reading.machines``."""

    @cached_property
    def ambiguous(self) -> Floats:
        """``(n,)``: the probability that a glyph is two characters."""
        chance: Floats = self.pairs.sum(1)
        return chance

    @cached_property
    def top(self) -> Ints:
        """``(n,)``: the likeliest class."""
        classes: Ints = self.clear.argmax(1)
        return classes

    @cached_property
    def distribution(self) -> Floats:
        """``(n, K)``: how likely each character is what the writer meant; what is not unreadable adds up to 1."""
        spread = self.clear.copy()
        rows = np.arange(len(spread))[:, None]
        for of in (self.first, self.second):
            np.add.at(spread, (rows, of), self.pairs / 2)
        total: Floats = spread / np.maximum(spread.sum(1, keepdims=True), 1e-300)
        return total


def levels(priors: npt.NDArray[np.floating], known: npt.NDArray[np.bool_]) -> Ints:
    """Return how hard each glyph is, by the largest probability of its prior; 0 where it has none."""
    return np.where(known, np.where(priors.max(1) >= EASY, 1, 2), 0).astype(np.int64)


def believe(prior: Floats, level: Ints, votes: Votes, reading: Reading) -> Beliefs:
    """Return the posterior of ``n`` glyphs from their ``prior`` ``(n, K)``, ``level`` ``(n,)`` and votes.

    Each vote counts as honesty × confusion + (1 - honesty) × junk. Where two or more votes agree, they may also be
    lies that were agreed upon, which is why votes of doubtful sources never add up to certainty. And each may be that
    of a program which reads as the network does whose opinion the prior is: then it tells nothing new.
    """
    size = prior.shape[1]
    ordered = votes.sorted()
    runs = _Runs.of(ordered.glyph)
    score = np.zeros((len(prior), size + 1))
    if len(ordered):
        echo = _echo(prior, level, ordered, reading)
        of = (ordered.honesty, level[ordered.glyph], ordered.answer)
        said = _said(reading.likelihood, reading.log_likelihood, of, echo, reading)
        runs.add(score, said)
        _suspect(score, level, ordered, echo, reading)
    clear = score[:, :-1] + np.log(np.maximum(prior, 1e-9))
    likeliest = _likeliest(clear)
    first, second = likeliest[:, _PAIRS[:, 0]], likeliest[:, _PAIRS[:, 1]]
    pairs = _pair_prior(prior, first, second, reading)
    before = np.exp(pairs).sum(1)
    if len(ordered):
        runs.add(pairs, _either(said, first[ordered.glyph], second[ordered.glyph]))
    unreadable = score[:, -1] + np.log(reading.illegibility)
    clear, pairs, unreadable, evidence = _normalised(clear, pairs, unreadable)
    return Beliefs(clear, pairs, first, second, unreadable, before / (1 + before), evidence)


@dataclass(frozen=True)
class _Runs:
    """Where the votes of each glyph begin, in votes that are in the order of their glyphs, and how many they are."""

    glyph: Ints
    start: Ints
    length: Ints

    @classmethod
    def of(cls, glyphs: Ints) -> "_Runs":
        start = np.flatnonzero(np.diff(glyphs, prepend=-1))
        return cls(glyphs[start], start, np.diff(start, append=len(glyphs)))

    def add(self, totals: Floats, values: Floats) -> None:
        """Add the ``values`` ``(v, k)`` of votes to the ``totals`` ``(n, k)`` of their glyphs: the first of each, ...

        ``np.add.reduceat`` does the same, but takes three times as long on runs as short as most are.
        """
        short = np.where(self.length <= SHORT, self.length, 0)
        for place in range(short.max(initial=0)):
            some = short > place
            totals[self.glyph[some]] += values[self.start[some] + place]
        for run in np.flatnonzero(self.length > SHORT).tolist():
            start = self.start[run]
            totals[self.glyph[run]] += values[start : start + self.length[run]].sum(0)


def _likeliest(clear: Floats) -> Ints:
    """Return ``(n, CANDIDATES)``: the classes of the highest scores, the highest first; of equal ones the first class.

    For so few classes and so few to find, looking for one after the other takes half as long as ``np.argpartition``.
    """
    left, rows = clear.copy(), np.arange(len(clear))
    found = np.empty((len(clear), CANDIDATES), np.int64)
    for place in range(CANDIDATES):
        found[:, place] = left.argmax(1)
        left[rows, found[:, place]] = -np.inf
    return found


def _echo(prior: Floats, level: Ints, votes: Votes, reading: Reading) -> Floats:
    """Return ``(v,)``: the probability of each answer from a program, times the share of programs among visitors.

    Half of them have the network itself, the others one of their own that is as unsure. Without a network's opinion
    (level 0) nothing is known of what a program would type.
    """
    size = prior.shape[1]
    named = np.minimum(votes.answer, size - 1)
    same = prior.argmax(1)[votes.glyph] == votes.answer
    typed = np.where(votes.answer < size, (same + prior[votes.glyph, named]) / 2, 1e-9)
    echo: Floats = reading.machines * np.where(level[votes.glyph] > 0, typed, 0)
    return echo


def _said(likelihood: Floats, logarithm: Floats, of: tuple[Ints, ...], echo: Floats, reading: Reading) -> Floats:
    """Return the log-likelihoods ``(v, k)`` of votes, the entries ``of`` the table, that may also be echoes."""
    said: Floats = logarithm[of]
    heard = np.flatnonzero(echo > 0)
    if len(heard):
        straight = likelihood[tuple(index[heard] for index in of)] * (1 - reading.machines)
        said[heard] = np.log(straight + echo[heard, None])
    return said


def _suspect(score: Floats, level: Ints, votes: Votes, echo: Floats, reading: Reading) -> None:
    """Raise the score of every class but the one most voted for by the chance that those votes were arranged."""
    size = score.shape[1] - 1
    target = _most_typed(votes, len(score), size)
    seen = np.flatnonzero(target[votes.glyph] >= 0)
    if not len(seen):
        return
    glyph, answer = votes.glyph[seen], votes.answer[seen]
    hit = (answer == target[glyph]).astype(np.int64)
    of = (hit, votes.honesty[seen], level[glyph], answer)
    said = _said(reading.conspiracy, reading.log_conspiracy, of, echo[seen], reading)
    runs = _Runs.of(glyph)
    some, arranged = runs.glyph, np.zeros((len(score), size))
    runs.add(arranged, said)
    arranged = arranged[some]
    chance = reading.collusion / size
    # In place of the score itself for the target: a lie is about what is not true.
    kept = score[some, target[some]]
    score[some, :-1] = np.logaddexp(np.log1p(-chance) + score[some, :-1], np.log(chance) + arranged)
    score[some, target[some]] = kept


def _most_typed(votes: Votes, glyphs: int, size: int) -> Ints:
    """Return ``(glyphs,)``: the class most voted for, by two at least, or -1; of equal ones the first.

    The votes are sorted.
    """
    start = np.flatnonzero((np.diff(votes.glyph, prepend=-1) != 0) | (np.diff(votes.answer, prepend=-1) != 0))
    count, answer = np.diff(start, append=len(votes)), votes.answer[start]
    some = np.flatnonzero((count >= 2) & (answer < size))
    some = some[np.lexsort((-answer[some], count[some]))]  # The last one of a glyph stays.
    target = np.full(glyphs, -1)
    target[votes.glyph[start[some]]] = answer[some]
    return target


def _pair_prior(prior: Floats, first: Ints, second: Ints, reading: Reading) -> Floats:
    """Return the log-prior of each pair: large where people mix the two up and the prior can't tell them apart."""
    rows = np.arange(len(prior))[:, None]
    one, other = prior[rows, first], prior[rows, second]
    near = np.sqrt(one * other) * reading.affinity[first, second] + UNFORESEEN * (one + other) / 2
    return np.log(np.maximum(2 * reading.ambiguity * near, 1e-300))


def _either(said: Floats, first: Ints, second: Ints) -> Floats:
    """Return ``(v, p)``: what votes say of pairs, each read as the one character or the other, evenly."""
    rows = np.arange(len(said))[:, None]
    either: Floats = np.logaddexp(said[rows, first], said[rows, second]) - np.log(2)
    return either


def _normalised(clear: Floats, pairs: Floats, unreadable: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """Turn scores into probabilities that add up to 1 over all three; return the logarithm of their sum as well."""
    largest = np.maximum(clear.max(1), np.maximum(pairs.max(1), unreadable))[:, None]
    clear, pairs, none = np.exp(clear - largest), np.exp(pairs - largest), np.exp(unreadable[:, None] - largest)
    total = clear.sum(1, keepdims=True) + pairs.sum(1, keepdims=True) + none
    return clear / total, pairs / total, (none / total)[:, 0], (largest + np.log(total))[:, 0]
