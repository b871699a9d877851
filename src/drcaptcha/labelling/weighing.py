"""What the votes on glyphs come to: beliefs, and the state that they warrant."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from django.conf import settings
from numpy.typing import NDArray

from drcaptcha.labelling.log import Floats, Ints, Known, VoteLog, alphabet, current_reading, read_known, read_votes
from handwriting import selection
from handwriting.consensus.beliefs import Beliefs, Votes, believe
from handwriting.consensus.reading import Reading
from handwriting.consensus.rules import RULES
from handwriting.consensus.verdicts import ACCEPTED, DISPUTED, PROVISIONAL, STATES, UNKNOWN, Tally, Thresholds, judge

OURS = "ours"
"""The rule of this installation; the others (``handwriting.consensus.rules``) are for comparison."""

BATCH = 5_000
"""Glyphs weighed at a time."""

MOST_VOTES = 12
"""After so many votes a published rule that has not decided is taken to be unable to."""


@dataclass(frozen=True)
class Weighed:
    """Glyphs in the order of their keys, their votes, and what both come to. Arrays are ``(n,)``, as in ``Known``."""

    known: Known
    votes: VoteLog
    beliefs: Beliefs
    tally: Tally
    state: NDArray[np.str_]
    label: NDArray[np.str_]
    posterior: Floats
    worth: Floats

    @property
    def leaning(self) -> Ints:
        """The class that each glyph most likely is."""
        return self.beliefs.top


def thresholds() -> Thresholds:
    """Return what it takes to be accepted here."""
    return Thresholds(accept=settings.DRCAPTCHA_ACCEPT, sources=settings.DRCAPTCHA_AGREEMENT)


def weigh(glyphs: Collection[int], *, rule: str = OURS) -> Weighed:
    """Weigh all that is known of these glyphs now. Nothing is changed."""
    _, reading = current_reading()
    return weigh_votes(read_known(glyphs, reading), read_votes(glyphs, reading), reading, rule=rule)


def soft_labels(sender: object, *, keys: Ints, **_: object) -> tuple[NDArray[np.float32], NDArray[np.float32]]:  # noqa: ARG001
    """Return what networks are to learn of these glyphs, by keys ``(n,)`` in order, whose labels votes gave.

    How likely each character is ``(n, K)``, and how likely it is that the glyph can be read at all ``(n,)``, by which
    it counts. One that is gone meanwhile counts for nothing.
    """
    size = len(alphabet())
    shares, counts = np.full((len(keys), size), 1 / size, np.float32), np.zeros(len(keys), np.float32)
    for start in range(0, len(keys), BATCH):
        weighed = weigh(keys[start : start + BATCH].tolist())
        place = np.searchsorted(keys, weighed.known.key)
        shares[place], counts[place] = weighed.beliefs.distribution, 1 - weighed.beliefs.unreadable
    return shares, counts


def weigh_votes(known: Known, votes: VoteLog, reading: Reading, *, rule: str = OURS) -> Weighed:
    """Weigh glyphs by these votes on them, which are in the order of the glyphs."""
    size, count = len(reading.alphabet), len(known.key)
    place = np.searchsorted(known.key, votes.glyph)
    beliefs = believe(known.prior.astype(np.float64), known.level, Votes(place, votes.answer, votes.honesty), reading)
    top = beliefs.top
    tally = Tally(
        votes=np.bincount(place, minlength=count),
        support=np.bincount(place[votes.answer == top[place]], minlength=count),
        unreadable=np.bincount(place[votes.answer == size], minlength=count),
    )
    agrees = (known.ensemble > 0) & (known.prior.argmax(1) == top)
    verdict = judge(beliefs, tally, given=known.given, agrees=agrees, thresholds=thresholds())
    if rule != OURS:
        verdict, top = _by_rule(rule, known, votes, place=place, ours=verdict, reading=reading)
    names = np.array(reading.alphabet.classes)
    state = np.array(STATES)[verdict]
    label = np.where(np.isin(state, ("accepted", "control")), names[top], "")
    shown = beliefs.clear[np.arange(count), top]
    held = known.given >= 0
    # A given label stays as it was written, in its own case.
    label = np.where(held & (state == "control"), known.given_label, label)
    shown = np.where(held, beliefs.clear[np.arange(count), np.maximum(known.given, 0)], shown)
    kept = known.exempt
    return Weighed(
        known,
        votes,
        beliefs,
        tally,
        np.where(kept, known.state, state),
        np.where(kept, known.label, label),
        np.where((tally.votes == 0) & ~held & (known.ensemble == 0), np.nan, shown),
        worth(beliefs, reading),
    )


def worth(beliefs: Beliefs, reading: Reading) -> Floats:
    """Return ``(n,)``: how much one more vote of an average visitor is expected to tell, where people can read it."""
    legible = 1 - beliefs.unreadable
    posterior = np.concatenate([beliefs.distribution * legible[:, None], beliefs.unreadable[:, None]], 1)
    answers = reading.likelihood[round(100 * reading.honesty), 0].T
    return selection.worth(posterior, answers, reading.entropy, legible * (1 - beliefs.ambiguous))


def _by_rule(
    rule: str, known: Known, votes: VoteLog, *, place: Ints, ours: Ints, reading: Reading
) -> tuple[Ints, Ints]:
    """Return state and class by a published rule, for glyphs whose label was not given."""
    verdict, top = ours.copy(), known.prior.argmax(1)
    names = np.array([*reading.alphabet.classes, "?", ""])
    order = np.lexsort((votes.key, place))
    bounds = np.searchsorted(place[order], np.arange(len(known.key) + 1))
    for row in np.flatnonzero(known.given < 0):
        answers = names[votes.answer[order[bounds[row] : bounds[row + 1]]]].tolist()
        machine = str(names[top[row]]) if known.ensemble[row] else ""
        label = RULES[rule](answers, machine)
        if label and label in reading.alphabet.classes:
            verdict[row], top[row] = ACCEPTED, reading.alphabet.classes.index(label)
        else:
            verdict[row] = DISPUTED if len(answers) >= MOST_VOTES else PROVISIONAL if answers else UNKNOWN
    return verdict, top
