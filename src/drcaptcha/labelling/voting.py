"""Taking votes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from django.db import connections, transaction

from drcaptcha.glyphs.models import LABELLED, Glyph
from drcaptcha.labelling.deciding import apply, lock
from drcaptcha.labelling.log import Known, alphabet, current_reading, read_known, read_votes, seconds
from drcaptcha.labelling.models import CANT_READ, Miss, Role, Source, Vote
from drcaptcha.labelling.weighing import OURS, weigh_votes
from drcaptcha.queries import Prepared, moment
from handwriting.consensus import honesty
from handwriting.consensus.reading import Reading


@dataclass(frozen=True)
class Ballot:
    """One judged answer: what was typed in the slots that do not gate, and how the controls went, all by glyph.

    After a fail nothing that was typed is kept, so ``typed`` is empty. ``source`` is its number; 0 where that is told
    apart.
    """

    source: int
    captcha: int
    at: datetime
    typed: Mapping[int, str] = field(default_factory=dict)
    roles: Mapping[int, Role] = field(default_factory=dict)
    right: Sequence[int] = ()
    missed: Sequence[int] = ()


@transaction.atomic(savepoint=False)
def record(ballots: Sequence[Ballot], *, now: datetime, rule: str = OURS) -> set[int]:
    """Keep votes and missed controls, weigh their sources, and let the labels of the glyphs follow.

    What can't be a character (a control code) is no vote. Several ballots are those of one moment. Returns which of the
    glyphs that were asked about have got their label by it.
    """
    typed = {(b.captcha, glyph): one for b in ballots for glyph, one in b.typed.items() if one.isprintable()}
    asked = {glyph for _, glyph in typed}
    sources = {key: _Heard(*row) for key, *row in _SOURCES({b.source for b in ballots})}
    _, reading = current_reading()
    known = read_known(asked, reading)
    votes = _votes(ballots, typed, known, reading)
    misses = _new_misses(ballots)
    stirred = _weigh_sources(sources, votes, misses, reading, now)
    moved = asked | {miss.glyph_id for miss in misses if miss.alone} | _recalled(stirred)
    read = [glyph for ballot in ballots if not ballot.missed for glyph in ballot.right]
    others = lock(moved | set(read))
    _add(votes)
    if misses:
        Miss.objects.bulk_create(misses, ignore_conflicts=True)
    _count_passes(read)
    if not moved:
        return set()
    if others or moved != asked or not asked.isdisjoint(read):
        known = read_known(moved, reading)
    weighed = weigh_votes(known, read_votes(moved, reading), reading, rule=rule)
    apply(weighed, now)
    gained = np.isin(weighed.state, LABELLED) & ~np.isin(weighed.known.state, LABELLED)
    return asked.intersection(weighed.known.key[gained].tolist())


def _votes(
    ballots: Sequence[Ballot], typed: Mapping[tuple[int, int], str], known: Known, reading: Reading
) -> list[Vote]:
    """Return the votes as rows, each with what it says of its source by what is known of the glyph apart from votes."""
    place = {key: row for row, key in enumerate(known.key.tolist())}
    labels = _label_classes(known)
    letters = alphabet()
    votes = []
    for ballot in ballots:
        for glyph in ballot.typed:
            one = typed.get((ballot.captcha, glyph))
            if one is None or glyph not in place:
                continue
            row = place[glyph]
            answer = letters.class_of(one)
            votes.append(
                Vote(
                    glyph_id=glyph,
                    source_id=ballot.source,
                    captcha=ballot.captcha,
                    role=ballot.roles.get(glyph, Role.PROBE),
                    typed=one,
                    answer=CANT_READ if one == CANT_READ else answer or "",
                    known=letters.classes[labels[row]] if labels[row] >= 0 else "",
                    evidence=_evidence(known, row, one, reading),
                    controls=len(ballot.right),
                    prior_id=int(known.ensemble[row]) or None,
                    created=ballot.at,
                )
            )
    return votes


def _label_classes(known: Known) -> np.ndarray:
    """Return the class of each glyph's label, or -1 where it has none or one that may be of two classes."""
    letters = alphabet()
    has = np.isin(known.state, LABELLED) & ~known.exempt
    return np.array([letters.index(label) if some else -1 for label, some in zip(known.label, has, strict=True)], int)


def _evidence(known: Known, row: int, typed: str, reading: Reading) -> float:
    """Return what a vote says of its source by the glyph's given label or its prior, never by other votes.

    So the order in which visitors come makes no difference. What they think of each other is left to the estimate.
    """
    if known.exempt[row] or (known.given[row] < 0 and not known.ensemble[row]):
        return 0.0
    size = len(reading.alphabet)
    index = size if typed == CANT_READ else reading.alphabet.index(typed)
    answer = size + 1 if index is None else index
    honest = known.prior[row] @ reading.confusion[known.level[row]][:, answer]
    return float(honesty.evidence(honest, reading.junk[answer], reading.honesty))


def _new_misses(ballots: Sequence[Ballot]) -> list[Miss]:
    """Return the controls that were missed, as rows: those that their sources have not missed before."""
    missed = {glyph for ballot in ballots for glyph in ballot.missed}
    labels = dict(Glyph.objects.filter(pk__in=missed).values_list("pk", "label")) if missed else {}
    misses = {
        (glyph, ballot.source): Miss(
            glyph_id=glyph,
            known=labels[glyph],
            source_id=ballot.source,
            captcha=ballot.captcha,
            alone=len(ballot.missed) == 1 and len(ballot.right) > 1,
            created=ballot.at,
        )
        for ballot in ballots
        for glyph in ballot.missed
        if glyph in labels  # It may have been deleted since.
    }
    if misses:
        there = Miss.objects.filter(
            source__in={source for _, source in misses}, glyph__in={glyph for glyph, _ in misses}
        ).values_list("glyph", "source")
        for pair in there:
            misses.pop(pair, None)
    return list(misses.values())


@dataclass(frozen=True)
class _Heard:
    """A source as it is stored: ``weighed`` is the time at which ``trust`` and ``doubt`` counted so."""

    trust: float
    doubt: float
    weighed: Any
    honesty: int | None
    mass: int


_SOURCES = Prepared(
    lambda keys: (
        Source.objects.select_for_update(no_key=True)
        .filter(pk__in=keys)
        .order_by("pk")
        .values_list("pk", "trust", "doubt", "weighed", "honesty", "mass")
    )
)


def _weigh_sources(
    sources: Mapping[int, _Heard], votes: Sequence[Vote], misses: Sequence[Miss], reading: Reading, now: datetime
) -> list[int]:
    """Add what these votes and misses say of their sources; return those heard before whose honesty has moved."""
    parts: dict[int, list[float]] = {pk: [] for pk in sources}
    for vote in votes:
        parts[vote.source_id].append(honesty.fade(vote.evidence, vote.created, now))
    for miss in misses:
        parts[miss.source_id].append(honesty.fade(honesty.CONTROL_MISSED, miss.created, now))
    moved, rows = [], []
    # Who was only right in controls leaves no trace in the log, so none here either: else a replay would differ.
    for pk, source in ((pk, source) for pk, source in sources.items() if parts[pk]):
        age = now.timestamp() - seconds([source.weighed or now])
        stored = honesty.faded(np.array([source.trust, source.doubt]), age)
        trust, doubt = stored + [sum(max(sign * part, 0.0) for part in parts[pk]) for sign in (1, -1)]
        share = int(honesty.percent(trust, doubt, reading.honesty, reading.certainty))
        mass = int(honesty.mass(trust, doubt, reading.certainty))
        rows.append((float(trust), float(doubt), share, mass, moment(now), pk))
        if source.weighed and (share, mass) != (source.honesty, source.mass):
            moved.append(pk)
    with connections[Source.objects.db].cursor() as cursor:
        # Django's bulk_update takes ten times as long.
        cursor.executemany(
            "UPDATE labelling_source SET trust = %s, doubt = %s, honesty = %s, mass = %s, weighed = %s WHERE id = %s",
            rows,
        )
    return moved


def _recalled(sources: Sequence[int]) -> set[int]:
    """Return the glyphs on which these sources have voted before, or that they missed: that counts otherwise now."""
    return {glyph for query in (_VOTED, _MISSED) for (glyph,) in query(sources)}


_VOTED = Prepared(lambda sources: Vote.objects.filter(source__in=sources).values_list("glyph"))
_MISSED = Prepared(lambda sources: Miss.objects.filter(source__in=sources, alone=True).values_list("glyph"))


def _add(votes: Sequence[Vote]) -> None:
    """Store votes; Django's bulk_create takes five times as long."""
    moment = connections[Vote.objects.db].ops.adapt_datetimefield_value
    rows = [[getattr(vote, name) for name in _COLUMNS] + [moment(vote.created)] for vote in votes]
    names, places = ", ".join((*_COLUMNS, "created")), ", ".join(["%s"] * (len(_COLUMNS) + 1))
    with connections[Vote.objects.db].cursor() as cursor:
        cursor.executemany(f"INSERT INTO labelling_vote ({names}) VALUES ({places})", rows)  # noqa: S608 -- Names of our own.


_COLUMNS = ("glyph_id", "source_id", "captcha", "role", "typed", "answer", "known", "evidence", "controls", "prior_id")


def _count_passes(read: Sequence[int]) -> None:
    with connections[Glyph.objects.db].cursor() as cursor:
        cursor.executemany(
            "UPDATE glyphs_glyph SET passes = passes + 1 WHERE id = %s", [(glyph,) for glyph in sorted(read)]
        )
