"""Simulated visitors, who are asked and judged as real ones are and whose votes move labels as real ones do.

No picture is drawn: a crowd reads the glyphs by what is known of them (see ``handwriting.crowds``). Several visitors
answer at a time, which changes nothing for them and saves time.
"""

import secrets
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np
from django.conf import settings
from django.db.models import Max, Q
from numpy.typing import NDArray

from drcaptcha.challenges.composing import CONTROLS, deal
from drcaptcha.challenges.models import Captcha, Slot
from drcaptcha.challenges.verifying import ballot
from drcaptcha.errors import NotPossible
from drcaptcha.glyphs.models import LABELLED, OPEN, SIDE, Glyph, Split, State
from drcaptcha.labelling import estimating, voting
from drcaptcha.labelling.models import CANT_READ, Role, Source, Vote
from drcaptcha.labelling.weighing import OURS
from drcaptcha.learning.models import Prior
from drcaptcha.sites.models import Site
from handwriting.alphabet import ALPHABETS, Alphabet
from handwriting.consensus.rules import RULES
from handwriting.crowds import AMBIGUOUS, CROWDS, Crowd, Nature, Visitor, likeness

MOST_AT_ONCE = 128
"""Visitors who answer at a time, at the most; a hundredth of the probes where that is less."""

PACE = timedelta(seconds=30)
"""Time between two waves, so that a day has some 180,000 answers."""

PATIENCE = 25
"""Answers a probe after which a run ends, whatever is still open."""

MOST_ERRORS = 200

REFERENCE = 6_000
"""Labelled glyphs that people's reading is modelled on."""

Ints = NDArray[np.int64]
Progress = Callable[[float], object]
Measure = Callable[[], dict[str, float]]


@dataclass(frozen=True)
class Plan:
    """What to simulate: a crowd of ``handwriting.crowds.CROWDS``, who reads as ``nature`` says, and by which rule."""

    crowd: str = "honest"
    seed: int = 0
    rule: str = OURS
    nature: Nature | None = None
    stages: int = 20

    def __post_init__(self) -> None:
        if self.crowd not in CROWDS:
            raise NotPossible(f"There is no crowd {self.crowd}. There are: {', '.join(CROWDS)}.")
        if self.rule not in {OURS, *RULES}:
            raise NotPossible(f"There is no rule {self.rule}. There are: {', '.join([OURS, *RULES])}.")

    @property
    def reading(self) -> Nature:
        """How the crowd reads, where the plan does not say otherwise."""
        return self.nature or Nature(
            ambiguous=AMBIGUOUS if self.crowd == "ambiguous" else 0.0, visits=1.0 if self.crowd == "onetime" else 8.0
        )


@dataclass
class Outcome:
    """What came of a simulation. Shares are 0 to 1; ``calibration_gap`` is the claimed accuracy less the true one.

    ``votes_per_label`` counts every vote that was given as a probe, on glyphs that never got a label too; ``audits``
    are the others. Of the controls, ``mislabelled`` came with a wrong label, ``mislabelled_found`` of these were set
    aside, and with them ``rightly_labelled_lost`` others.
    ``course`` tells how it went, by stages; ``errors`` are the first glyphs whose label is not the truth, with both.
    """

    crowd: str
    rule: str
    accuracy: float = 0.0
    votes_per_label: float = 0.0
    accepted: int = 0
    disputed: int = 0
    unreadable: int = 0
    open: int = 0
    answers: int = 0
    pass_rate: dict[str, float] = field(default_factory=dict)
    calibration_gap: float = 0.0
    poison_rate: dict[str, float] = field(default_factory=dict)
    folded_accuracy: float = 0.0
    probes: int = 0
    audits: int = 0
    without_prior: int = 0
    mislabelled: int = 0
    mislabelled_found: int = 0
    rightly_labelled_lost: int = 0
    course: list[dict[str, float]] = field(default_factory=list)
    errors: list[tuple[int, str, str]] = field(default_factory=list)


def simulate(
    plan: Plan,
    *,
    now: datetime,
    enough: int | None = None,
    progress: Progress = lambda _: None,
    measure: Measure = dict,
) -> Outcome:
    """Let a crowd answer until every probe is decided, or ``enough`` are, or its patience ends. What it votes is kept.

    ``measure`` is called at each stage; what it returns goes into the course.

    Raises:
        NotPossible: there is nothing to ask about, or a glyph whose truth is not known.
    """
    run = _Run.start(plan, now)
    stage = 0
    while left := Glyph.objects.filter(split=Split.TRAIN, state__in=OPEN).count():
        decided = len(run.probes) - left
        done = decided / min(enough or left + decided, len(run.probes))
        progress(min(done, 1.0))
        if done * plan.stages >= stage:
            stage = int(done * plan.stages) + 1
            run.note(measure)
        if done >= 1 or run.outcome.answers >= PATIENCE * len(run.probes):
            break
        run.wave(left)
        if plan.rule == OURS and estimating.is_due():
            estimating.estimate(now=run.now)
    run.note(measure)
    progress(1.0)
    return run.finish()


@dataclass
class _Run:
    """One simulation: ``keys`` and ``truth`` of all glyphs shown, ``probes`` the keys of those asked about."""

    plan: Plan
    alphabet: Alphabet
    rng: np.random.Generator
    now: datetime
    keys: Ints
    truth: Ints
    probes: Ints
    crowd: Crowd
    outcome: Outcome
    first_vote: int
    controls: frozenset[int] = frozenset()
    sources: dict[int, Source] = field(default_factory=dict)
    seen: Counter[str] = field(default_factory=Counter)
    passed: Counter[str] = field(default_factory=Counter)
    asked: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)

    @classmethod
    def start(cls, plan: Plan, now: datetime) -> "_Run":
        alphabet, rng = ALPHABETS[settings.DRCAPTCHA_ALPHABET], np.random.default_rng(plan.seed)
        shown = Q(state__in=OPEN) | Q(state__in=LABELLED)
        rows = list(
            Glyph.objects.filter(shown, split=Split.TRAIN).order_by("pk").values_list("pk", "state", "truth", "picture")
        )
        if strange := sum(alphabet.class_of(row[2]) is None for row in rows):
            raise NotPossible(f"Simulated visitors can't read {strange:,} glyphs: their truth is not known.")
        keys = np.array([row[0] for row in rows], np.int64)
        truth = np.array([alphabet.index(row[2]) for row in rows], np.int64)
        pictures = np.frombuffer(b"".join(bytes(row[3]) for row in rows), np.uint8).reshape(-1, SIDE, SIDE)
        probes = np.array([row[0] for row in rows if row[1] in OPEN], np.int64)
        given = np.flatnonzero([row[1] == State.CONTROL for row in rows])
        if not len(probes) or len(given) < CONTROLS[1]:
            raise NotPossible(
                f"A simulation needs glyphs of known truth: some to ask about, and {CONTROLS[1]} with a label. There "
                f"are {len(probes):,} and {len(given):,}. Import some, or take labels away with removelabels."
            )
        some = rng.permutation(given)[:REFERENCE]
        like = likeness(pictures, pictures[some], truth[some], len(alphabet))
        machine, scored = _machine(keys, truth, like, rng)
        crowd = Crowd(alphabet, truth, like, machine, CROWDS[plan.crowd], plan.reading, rng)
        outcome = Outcome(plan.crowd, plan.rule, probes=len(probes))
        outcome.without_prior = int((~scored[np.searchsorted(keys, probes)]).sum())
        last = Vote.objects.aggregate(last=Max("pk"))["last"] or 0
        controls = frozenset(keys[given].tolist())
        return cls(plan, alphabet, rng, now, keys, truth, probes, crowd, outcome, last, controls)

    def wave(self, left: int) -> None:
        """Let some visitors answer at once: no more than the probes that are ``left`` can do with.

        Else those would be asked again about what is labelled already, and the labels would look better than they are.
        """
        self.now += PACE
        count = max(1, min(MOST_AT_ONCE, len(self.probes) // 100, left // 2))
        visitors = self.crowd.arrive(count)
        self._welcome(visitors)
        hands = deal(count, self.rng)
        ballots = [self._answer(visitor, slots) for visitor, slots in zip(visitors, hands, strict=True)]
        voting.record(ballots, now=self.now, rule=self.plan.rule)

    def _welcome(self, visitors: Sequence[Visitor]) -> None:
        """Give each newcomer a source."""
        new = [visitor.number for visitor in visitors if visitor.number not in self.sources]
        site = Site.of(None)
        made = Source.objects.bulk_create(
            Source(site=site, key=f"{secrets.token_hex(24)}-simulated", created=self.now) for _ in new
        )
        self.sources |= dict(zip(new, made, strict=True))

    def _answer(self, visitor: Visitor, slots: list[Slot]) -> voting.Ballot:
        places = np.searchsorted(self.keys, [slot.glyph for slot in slots]).tolist()
        read = self.crowd.answer(visitor, places, [slot.gates for slot in slots])
        names = (*self.alphabet.classes, CANT_READ)
        typed = [names[answer] for answer in read]
        judgement = Captcha.judge(slots, typed, self.alphabet)
        self.outcome.answers += 1
        self.seen[visitor.kind] += 1
        if judgement.passed:
            self.passed[visitor.kind] += 1
            probed = [(p, r) for slot, p, r in zip(slots, places, read, strict=True) if slot.role == Role.PROBE]
            self.asked[visitor.kind] += len(probed)
            self.wrong[visitor.kind] += sum(answer != self.truth[place] for place, answer in probed)
        number = self.first_vote + self.outcome.answers
        source = self.sources[visitor.number].pk
        return ballot(slots, typed, judgement, source=source, captcha=number, at=self.now)

    def note(self, measure: Measure) -> None:
        """Write down how far it has come."""
        true, named, _ = self._accepted()
        right = float((true == named).mean()) if len(true) else 0.0
        row: dict[str, float] = {"answers": self.outcome.answers, "votes": self._votes(), "accepted": len(true)}
        self.outcome.course.append(row | {"accuracy": round(right, 5)} | measure())

    def finish(self) -> Outcome:
        """Return what has come of it."""
        outcome = self.outcome
        states = Counter(state for state, _, _ in self._probes().values())
        outcome.disputed, outcome.unreadable = states[State.DISPUTED], states[State.UNREADABLE]
        outcome.open = sum(states[state] for state in OPEN)
        outcome.pass_rate, outcome.poison_rate = _shares(self.passed, self.seen), _shares(self.wrong, self.asked)
        outcome.mislabelled, outcome.mislabelled_found, outcome.rightly_labelled_lost = self._controls()
        true, named, claimed = self._accepted()
        outcome.accepted = len(true)
        if len(true):
            likeness = np.array(
                [[self.alphabet.alike(a, b) for b in self.alphabet.classes] for a in self.alphabet.classes]
            )
            outcome.errors = self._errors()
            outcome.accuracy = round(float((true == named).mean()), 5)
            outcome.folded_accuracy = round(float(likeness[true, named].mean()), 5)
            outcome.audits = Vote.objects.filter(pk__gt=self.first_vote, role=Role.AUDIT).count()
            outcome.votes_per_label = round(self._votes() / len(true), 4)
            # The other rules claim nothing.
            outcome.calibration_gap = round(float(claimed.mean()) - outcome.accuracy, 5) * (self.plan.rule == OURS)
        return outcome

    def _controls(self) -> tuple[int, int, int]:
        """Return how many came with a wrong label, and how many of these and of the others do not gate any more."""
        rows = Glyph.objects.filter(split=Split.TRAIN).exclude(given="").values_list("pk", "given", "truth", "state")
        counts = Counter(
            (self.alphabet.index(label) == self.alphabet.index(truth), state == State.CONTROL)
            for key, label, truth, state in rows
            if key in self.controls
        )
        found = counts[False, False]
        return found + counts[False, True], found, counts[True, False]

    def _errors(self) -> list[tuple[int, str, str]]:
        rows = [(key, label) for key, (_, label, _) in sorted(self._probes().items()) if label]
        true = self.truth[np.searchsorted(self.keys, np.array([key for key, _ in rows], np.int64))].tolist()
        names = self.alphabet.classes
        wrong = [(key, names[t], label) for (key, label), t in zip(rows, true, strict=True) if names[t] != label]
        return wrong[:MOST_ERRORS]

    def _votes(self) -> int:
        return Vote.objects.filter(pk__gt=self.first_vote, role=Role.PROBE).count()

    def _probes(self) -> dict[int, tuple[str, str, float]]:
        """Return state, label and posterior of every probe, by its key."""
        rows = Glyph.objects.filter(split=Split.TRAIN, given="").values_list("pk", "state", "label", "posterior")
        mine = set(self.probes.tolist())
        return {key: (state, label, posterior or 0.0) for key, state, label, posterior in rows if key in mine}

    def _accepted(self) -> tuple[Ints, Ints, NDArray[np.float64]]:
        """Return of every probe that has a label its true class, the class it was given, and what is claimed for it."""
        rows = {key: row for key, row in self._probes().items() if row[1]}
        place = np.searchsorted(self.keys, np.array(list(rows), np.int64))
        named = np.array([self.alphabet.index(label) for _, label, _ in rows.values()], np.int64)
        return self.truth[place], named, np.array([claim for _, _, claim in rows.values()], np.float64)


def _machine(
    keys: Ints, truth: Ints, like: NDArray[np.float64], rng: np.random.Generator
) -> tuple[Ints, NDArray[np.bool_]]:
    """Return what a bot reads, and which glyphs have a prior.

    Where there is a prior, it reads just what the ensemble does: the worst bot, whose errors are those of our own
    networks. Elsewhere it is as good as on those, or names the nearest known glyph.
    """
    size = like.shape[1]
    machine = like.argmax(1)
    scored = np.zeros(len(keys), bool)
    priors = [row for row in Prior.objects.values_list("glyph", "probabilities").iterator() if len(row[1]) == 2 * size]
    priors = [row for row in priors if (at := np.searchsorted(keys, row[0])) < len(keys) and keys[at] == row[0]]
    if priors:
        place = np.searchsorted(keys, [row[0] for row in priors])
        said = np.frombuffer(b"".join(bytes(row[1]) for row in priors), np.float16).reshape(-1, size)
        read = said.argmax(1)
        share = float((read == truth[place]).mean())
        machine = np.where(rng.random(len(keys)) < share, truth, machine)
        machine[place], scored[place] = read, True
    return machine, scored


def _shares(part: Counter[str], whole: Counter[str]) -> dict[str, float]:
    return {kind: round(part[kind] / count, 4) for kind, count in sorted(whole.items()) if count}
