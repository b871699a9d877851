"""How people read: what is typed for a glyph of each class, by those who try and by those who don't.

An *answer* is an index: a class of the alphabet (0 to K - 1), ``K`` for "can't read", ``K + 1`` for a character that
the alphabet lacks. A *level* is how hard a glyph is: 0 where nothing is known of it, 1 easy, 2 hard.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from handwriting.alphabet import Alphabet

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

LEVELS = 3
EASY = 0.95
"""A prior's largest probability from which a glyph counts as easy."""

PERCENTS = 101
"""Honesty is used in whole percents, so that a glyph has to be judged again only when a voter's has moved by one."""

FLOOR = 1e-6


@dataclass(frozen=True)
class Reading:
    """The parameters of the model of votes, which are learned and which a version of the labels goes by.

    ``counts`` ``(LEVELS, K, K + 2)`` are what was typed for glyphs of known class, weighted by how honest the source
    was. ``lies`` ``(K + 2,)`` are what dishonest sources typed. ``honesty`` is the share of honest votes, ``certainty``
    how many votes of a source that belief is worth. ``ambiguity`` and ``illegibility`` are the shares of glyphs that
    are two characters or none. ``collusion`` is the share of glyphs about which the dishonest agree among themselves.
    ``machines`` is the share of votes by programs that read as our networks do, or that go wrong where they do.
    """

    alphabet: Alphabet
    counts: Floats
    lies: Floats
    honesty: float = 0.9
    certainty: float = 1.0
    ambiguity: float = 0.003
    illegibility: float = 0.005
    collusion: float = 0.05
    machines: float = 0.01

    @classmethod
    def initial(cls, alphabet: Alphabet) -> Self:
        """Return what to believe before anybody has voted."""
        size = len(alphabet)
        return cls(alphabet, np.zeros((LEVELS, size, size + 2)), np.zeros(size + 2))

    def learned(self, **changes: Any) -> Self:
        """Return the same with other parameters."""
        return replace(self, **changes)

    @cached_property
    def confusion(self) -> Floats:
        """``(LEVELS, K, K + 2)``: the probability of each answer, for an honest visitor, by level and class.

        The posterior mean of a Dirichlet: all levels are drawn to what is pooled over them, and that to a first guess
        in which a character is mostly read right, sometimes for a look-alike, seldom for another.
        """
        guess = _first_guess(self.alphabet)
        pooled = self.counts.sum(0) + _GUESS_WORTH * guess
        pooled /= pooled.sum(1, keepdims=True)
        level = self.counts + _POOL_WORTH * pooled
        level[0] = _POOL_WORTH * pooled
        shares: Floats = level / level.sum(2, keepdims=True)
        return shares

    @cached_property
    def junk(self) -> Floats:
        """``(K + 2,)``: the probability of each answer from a source that does not try."""
        size = len(self.alphabet)
        even = np.full(size + 2, 1 / (size + 2))
        said: Floats = self.lies + _LIES_WORTH * even
        return said / float(said.sum())

    @cached_property
    def blind(self) -> Floats:
        """``(K + 2,)``: the probability of each answer, for an honest visitor, when a glyph can't be read."""
        size = len(self.alphabet)
        said = np.full(size + 2, 0.4 / size)
        said[size], said[size + 1] = 0.58, 0.02
        return said

    @cached_property
    def affinity(self) -> Floats:
        """``(K, K)``, symmetric, zero on the diagonal: how readily a glyph is both of two classes, in all 1 a class."""
        size = len(self.alphabet)
        mixed: Floats = self.confusion[0][:, :size] + self.confusion[0][:, :size].T
        np.fill_diagonal(mixed, 0)
        scaled: Floats = mixed / mixed.sum(1).mean()
        return scaled

    @cached_property
    def likelihood(self) -> Floats:
        """``(PERCENTS, LEVELS, K + 2, K + 1)``: the probability of an answer, by honesty, level and what the glyph is.

        The last column stands for a glyph that can't be read.
        """
        likelihood: Floats = self._honest_share + self._junk_share
        return likelihood

    @cached_property
    def responsibility(self) -> Floats:
        """As ``likelihood``: the probability that the answer was an honest one."""
        honest: Floats = self._honest_share / self.likelihood
        return honest

    @cached_property
    def conspiracy(self) -> Floats:
        """``(2, PERCENTS, LEVELS, K + 2, K)``: the likelihood when all lies are of one answer.

        The first for another answer than that one, the second for that one.
        """
        share = self._honest_share[..., :-1]
        lie = 1 - _honesties()[:, None, None, None]
        likelihood: Floats = np.stack([np.maximum(share, FLOOR), share + lie])
        return likelihood

    @cached_property
    def log_likelihood(self) -> Floats:
        """As ``likelihood``: its logarithm."""
        logarithm: Floats = np.log(self.likelihood)
        return logarithm

    @cached_property
    def log_conspiracy(self) -> Floats:
        """As ``conspiracy``: its logarithm."""
        logarithm: Floats = np.log(self.conspiracy)
        return logarithm

    @cached_property
    def entropy(self) -> Floats:
        """``(K + 1,)``: the entropy of an average answer in nats, by class; the last for what can't be read."""
        said = self.likelihood[round(100 * self.honesty), 0]
        entropy: Floats = -(said * np.log(said)).sum(0)
        return entropy

    @cached_property
    def _honest_share(self) -> Floats:
        by_answer = np.concatenate(
            [self.confusion.transpose(0, 2, 1), np.broadcast_to(self.blind[:, None], (LEVELS, len(self.blind), 1))], 2
        )
        share: Floats = _honesties()[:, None, None, None] * by_answer
        return share

    @cached_property
    def _junk_share(self) -> Floats:
        share: Floats = (1 - _honesties())[:, None, None, None] * self.junk[:, None]
        return share

    def to_json(self) -> dict[str, Any]:
        """Return the parameters as they are stored; counts as rows of (level, class, answer, count)."""
        level, of, answer = np.nonzero(self.counts)
        counts = [
            [int(a), int(b), int(c), round(float(self.counts[a, b, c]), 3)]
            for a, b, c in zip(level, of, answer, strict=True)
        ]
        shares = {name: getattr(self, name) for name in _SHARES}
        return {"alphabet": self.alphabet.name, "counts": counts, "lies": self.lies.round(3).tolist()} | shares

    @classmethod
    def from_json(cls, stored: Mapping[str, Any], alphabet: Alphabet) -> Self:
        """Return what ``to_json`` gave; of another alphabet only the shares are taken."""
        reading = cls.initial(alphabet).learned(**{name: stored[name] for name in _SHARES if name in stored})
        if stored["alphabet"] != alphabet.name:
            return reading
        for level, of, answer, count in stored["counts"]:
            reading.counts[level, of, answer] = count
        return reading.learned(lies=np.array(stored["lies"]))


_SHARES = ("honesty", "certainty", "ambiguity", "illegibility", "collusion", "machines")
_GUESS_WORTH = 60.0
"""Votes of a class that the first guess is worth."""
_POOL_WORTH = 40.0
"""Votes of a class and level that the pooled matrix is worth."""
_LIES_WORTH = 500.0


def _honesties() -> Floats:
    return np.clip(np.arange(PERCENTS) / 100, 0.005, 0.995)


def _first_guess(alphabet: Alphabet) -> Floats:
    size = len(alphabet)
    guess = np.full((size, size + 2), 0.012 / (size - 1))
    guess[:, size], guess[:, size + 1] = 0.004, 0.001
    for group in alphabet.look_alikes:
        members = [alphabet.classes.index(alphabet.class_of(c) or c) for c in group]
        guess[np.ix_(members, members)] = 0.03
    places = np.arange(size)
    guess[places, places] = 0
    guess[places, places] = 1 - guess.sum(1)
    return guess
