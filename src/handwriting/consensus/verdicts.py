"""From beliefs to states: what may be accepted, what is set aside, what is still open."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from handwriting.consensus.beliefs import Beliefs
from handwriting.consensus.reading import Floats, Ints

UNKNOWN, PROVISIONAL, ACCEPTED, CONTROL, DISPUTED, UNREADABLE = range(6)
STATES = ("unknown", "provisional", "accepted", "control", "disputed", "unreadable")


@dataclass(frozen=True)
class Thresholds:
    """What it takes. Probabilities are posteriors; sources are distinct ones that typed the label.

    ``patience`` is how many votes a glyph gets before it is set aside as disputed; where a character is ``promising``
    it gets up to ``most``.
    """

    accept: float = 0.995
    sources: int = 2
    promote: float = 0.9995
    promote_sources: int = 3
    dispute: float = 0.4
    patience: int = 6
    promising: float = 0.9
    most: int = 12
    unreadable: float = 0.9
    keep: float = 0.5


@dataclass(frozen=True)
class Tally:
    """What votes come to, each ``(n,)``: all that count, those for the likeliest class, those that say "can't read"."""

    votes: Ints
    support: Ints
    unreadable: Ints


def judge(
    beliefs: Beliefs,
    tally: Tally,
    *,
    given: Ints,
    agrees: npt.NDArray[np.bool_],
    thresholds: Thresholds,
) -> Ints:
    """Return the state ``(n,)`` of each glyph, as a position in ``STATES``; for accepted ones the label is ``top``.

    ``given`` ``(n,)`` is the class that the data set or an administrator gave, or -1; such a label stays a control
    until the evidence is against it. ``agrees`` ``(n,)`` tells whether an independent prior names the likeliest class
    too, in which case one source is enough. No label is accepted without a vote.
    """
    t = thresholds
    rows = np.arange(len(given))
    top = beliefs.clear.max(1)
    enough = (tally.support >= t.sources) | (agrees & (tally.support >= 1))
    sure = tally.support >= np.maximum(t.promote_sources, t.sources)
    one_voice = tally.support == tally.votes
    state = np.select(
        [
            tally.votes == 0,
            (top >= t.promote) & sure & one_voice,
            (top >= t.accept) & enough,
            (beliefs.unreadable >= t.unreadable) & (tally.unreadable >= t.sources),
            (beliefs.ambiguous >= t.dispute) & (tally.votes > t.sources),
            (tally.votes >= t.patience) & ((top < t.promising) | (tally.votes >= t.most)),
        ],
        [UNKNOWN, CONTROL, ACCEPTED, UNREADABLE, DISPUTED, DISPUTED],
        PROVISIONAL,
    )
    trusted = beliefs.clear[rows, np.maximum(given, 0)] >= t.keep
    verdict: Ints = np.where(given >= 0, np.where(trusted, CONTROL, DISPUTED), state)
    return verdict


def doubt_of_control(passes: int, misses: int) -> float:
    """Return by what factor the odds of a label from votes fall when it gates and people miss it; never above 1."""
    return float(np.exp(min(0.0, passes * PASS + misses * MISS)))


PASS, MISS = float(np.log(0.9 / 0.4)), float(np.log(0.1 / 0.6))
"""Log-odds of a right label by a control that is read right, and by one that is missed."""


def given_prior(
    given: Ints, passes: npt.NDArray[np.number], misses: npt.NDArray[np.number], affinity: Floats
) -> Floats:
    """Return the prior ``(n, K)`` of glyphs whose class was ``given`` ``(n,)``, by how the control has fared.

    ``passes`` and ``misses`` count visitors who got every other control of the captcha right. A right label is missed
    by one such visitor in ten at most, a wrong one by six. Before any, one label in a hundred is taken to be wrong,
    which is what EMNIST's are.
    """
    size = len(affinity)
    others = affinity[given] + 0.2 / size
    others[np.arange(len(given)), given] = 0
    others /= others.sum(1, keepdims=True)
    log_odds = np.log(0.99 / 0.01) + passes * PASS + misses * MISS
    right = 1 / (1 + np.exp(-np.clip(log_odds, -30, 30)))
    prior: Floats = others * (1 - right)[:, None]
    prior[np.arange(len(given)), given] = right
    return prior
