"""Saying why a glyph has its state, and how people read, in figures and in words."""

from dataclasses import dataclass

import numpy as np
from django.db.models import F, Q

from drcaptcha.errors import NotPossible
from drcaptcha.glyphs.models import Glyph, Split, State
from drcaptcha.labelling.log import Floats, alphabet
from drcaptcha.labelling.models import Estimate
from drcaptcha.labelling.weighing import Weighed, thresholds, weigh
from drcaptcha.learning.models import Ensemble
from handwriting.alphabet import ALPHABETS
from handwriting.consensus.reading import Reading
from handwriting.consensus.verdicts import Thresholds

SHOWN = 4
"""So many of the likeliest characters are named, and so many of those that were likeliest before any vote."""

LEAST = 0.001
"""A character less likely than this is not named."""

SEEN = 0.5
"""A confusion that was seen less often than this, in parts of readings, is not named."""

CONFUSIONS = 25
"""So many of the biggest confusions are named."""


def percent(share: float) -> str:
    """Return a probability as people read it; what is nearly certain is not rounded to certain."""
    if 0.001 <= share <= 0.999 or share in {0, 1}:
        return f"{share:.1%}"
    return "<0.01%" if share < 0.0001 else ">99.99%" if share > 0.9999 else f"{share:.2%}"


@dataclass(frozen=True)
class Chance:
    """How likely one character is what the writer meant: now, and before any vote (None where nothing was known)."""

    character: str
    now: float
    before: float | None


@dataclass(frozen=True)
class Explanation:
    """What is believed of one glyph by all that is known now.

    ``state`` is what that warrants. ``label`` is the given one, or the likeliest character, ``posterior`` the
    probability that it is this one character alone. ``votes`` count, each from a source of its own; ``support`` of them
    are for ``label``, ``blank`` say that it can't be read. ``chances`` are the likeliest characters, ``opinion`` the
    likeliest of the ``ensemble``. It is both characters of ``pair`` with the probability ``both``, and any two with
    ``ambiguous``. ``passes`` and ``misses`` are those of visitors who had all other controls right.
    """

    glyph: Glyph
    state: State
    label: str
    posterior: float
    votes: int
    support: int
    blank: int
    chances: list[Chance]
    opinion: Chance | None
    ensemble: Ensemble | None
    pair: tuple[str, str]
    both: float
    ambiguous: float
    unreadable: float
    given: bool
    exempt: bool
    misses: int
    thresholds: Thresholds

    @property
    def passes(self) -> int:
        """How often it was read right."""
        return self.glyph.passes

    @property
    def outdated(self) -> bool:
        """Whether the glyph would be in another state, if it were judged now."""
        return self.state != self.glyph.state

    @property
    def needed(self) -> float:
        """The posterior that the label has to reach."""
        return self.thresholds.keep if self.given else self.thresholds.accept

    @property
    def sources(self) -> int:
        """How many sources have to say so: one, where the ensemble says it too."""
        return 1 if self.opinion and self.opinion.character == self.label else self.thresholds.sources

    @property
    def sentence(self) -> str:
        """Why it has its state."""
        if self.glyph.split == Split.TEST:
            return "A test glyph: networks are judged by it, and visitors never see it."
        if self.exempt:
            return (
                f"A control: its given label {self.glyph.label} may mean two characters of the alphabet "
                f"{alphabet().name}, so votes do not move it."
            )
        return f"{self._given_sentence if self.given else self._voted_sentence}."

    @property
    def _given_sentence(self) -> str:
        fared = f"{_count(self.passes, 'visitor')} read it right, {self.misses:,} failed it and no other control"
        if self.state == State.CONTROL:
            return f"A control: its label {self.label} was given; {fared}"
        said = f"; {self._said}" if self.votes else ""
        return f"Set aside: its given label {self.label} has only {percent(self.posterior)} left; {fared}{said}"

    @property
    def _voted_sentence(self) -> str:
        why = f"{self._said}; {self._before}"
        posterior = percent(self.posterior)
        return {
            State.UNKNOWN: f"Nobody was heard about it yet; {self._before}",
            State.PROVISIONAL: f"Still open: {self.label} has a posterior of {posterior} and {self._lacks}; {why}",
            State.ACCEPTED: f"Accepted as {self.label}: posterior {posterior}; {why}",
            State.CONTROL: f"A control by votes: {self.label} has a posterior of {posterior}; {why}",
            State.UNREADABLE: f"Set aside: it can't be read with {percent(self.unreadable)}; "
            f"{self.blank:,} of {_count(self.votes, 'vote')} say so",
            State.DISPUTED: f"Set aside: {self._dispute}",
        }[self.state]

    @property
    def _dispute(self) -> str:
        votes = _count(self.votes, "vote")
        if self.ambiguous >= self.thresholds.dispute:
            return f"it is both {' and '.join(self.pair)} with {percent(self.both)}, by {votes}"
        nearest = f"{self.label} is the nearest with {percent(self.posterior)}"
        return f"after {votes} no character reaches {percent(self.needed)}; {nearest}"

    @property
    def _lacks(self) -> str:
        if self.posterior < self.needed:
            return f"needs {percent(self.needed)}"
        return f"needs {_count(self.sources, 'source')} that {'says' if self.sources == 1 else 'say'} so"

    @property
    def _said(self) -> str:
        if self.votes == 1:
            return "the one vote says so" if self.support else "the one vote says otherwise"
        return f"{self.support:,} of {_count(self.votes, 'vote')} say so, each from a source of its own"

    @property
    def _before(self) -> str:
        if self.opinion is None or self.opinion.before is None:
            return "no network had an opinion"
        said = f"the network said {self.opinion.character} with {percent(self.opinion.before)} before any vote"
        return said if self.opinion.character == self.label else f"{said}, and not {self.label}"


def explain(glyph: Glyph) -> Explanation:
    """Weigh anew all that is known of a glyph. Nothing is changed."""
    weighed = weigh([glyph.pk])
    if not len(weighed.known.key):
        raise NotPossible(f"{glyph} is not there any more.")
    known, beliefs, tally = weighed.known, weighed.beliefs, weighed.tally
    names = alphabet().classes
    given, ensemble = int(known.given[0]), int(known.ensemble[0])
    of = given if given >= 0 else int(weighed.leaning[0])
    pair = int(beliefs.pairs[0].argmax())
    first, second = sorted((int(beliefs.first[0, pair]), int(beliefs.second[0, pair])))
    return Explanation(
        glyph=glyph,
        state=State(str(weighed.state[0])),
        label=names[of],
        posterior=float(beliefs.clear[0, of]),
        votes=int(tally.votes[0]),
        support=int((weighed.votes.answer == of).sum()),
        blank=int(tally.unreadable[0]),
        chances=_chances(weighed),
        opinion=_chance(weighed, int(known.prior[0].argmax())) if ensemble else None,
        ensemble=Ensemble.objects.filter(pk=ensemble).first() if ensemble else None,
        pair=(names[first], names[second]),
        both=float(beliefs.pairs[0, pair]),
        ambiguous=float(beliefs.ambiguous[0]),
        unreadable=float(beliefs.unreadable[0]),
        given=given >= 0,
        exempt=bool(known.exempt[0]),
        misses=_misses(glyph),
        thresholds=thresholds(),
    )


def _chances(weighed: Weighed) -> list[Chance]:
    """Return the characters that are likely now or were before any vote, and a given label; the likeliest first.

    Where nothing is known, all are as likely, and none is named.
    """
    known, now = weighed.known, weighed.beliefs.distribution[0]
    if not _informed(weighed) and not weighed.tally.votes[0]:
        return []
    likely = {*_top(now), *(_top(known.prior[0]) if known.ensemble[0] else ()), *known.given[known.given >= 0].tolist()}
    return [_chance(weighed, of) for of in sorted(likely, key=lambda of: (-now[of], of))]


def _top(shares: Floats) -> list[int]:
    return [of for of in np.argsort(-shares, kind="stable")[:SHOWN].tolist() if shares[of] >= LEAST]


def _chance(weighed: Weighed, of: int) -> Chance:
    before = float(weighed.known.prior[0, of]) if _informed(weighed) else None
    return Chance(alphabet().classes[of], float(weighed.beliefs.distribution[0, of]), before)


def _informed(weighed: Weighed) -> bool:
    """Tell whether anything was known of the glyph before its votes."""
    return bool(weighed.known.ensemble[0]) or bool(weighed.known.given[0] >= 0)


def _misses(glyph: Glyph) -> int:
    """Count those who failed this control and nothing else, since its label was last given."""
    since = Q(glyph__heard_from=None) | Q(created__gte=F("glyph__heard_from"))
    return glyph.misses.filter(since, alone=True).count()


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


@dataclass(frozen=True)
class Confusion:
    """One character typed for another by honest visitors, 0 to 1, of so many readings of the latter."""

    typed: str
    meant: str
    share: float
    readings: float


def confusions(estimate: Estimate) -> list[Confusion]:
    """Return what people mix up most by an estimate, the biggest first; only what was seen, not what is assumed."""
    letters = ALPHABETS[estimate.parameters["alphabet"]]
    reading = Reading.from_json(estimate.parameters, letters)
    size = len(letters)
    seen = reading.counts.sum(0)
    shares = np.where(seen[:, :size] >= SEEN, reading.confusion[0][:, :size], 0)
    np.fill_diagonal(shares, 0)
    biggest = np.argsort(-shares, axis=None, kind="stable")[:CONFUSIONS]
    return [
        Confusion(letters.classes[typed], letters.classes[meant], float(shares[meant, typed]), float(seen[meant].sum()))
        for meant, typed in (divmod(place, size) for place in biggest.tolist())
        if shares[meant, typed] > 0
    ]
