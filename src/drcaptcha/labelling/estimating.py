"""Looking back over the whole log: honesty and reading are estimated anew, and every label follows."""

import os
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from django.db import connections, models, transaction
from django.db.models import Max, Min, Q

from drcaptcha.glyphs.models import Glyph
from drcaptcha.labelling.deciding import as_read, changed, decide, drifted, lock, note_drift, write_moves
from drcaptcha.labelling.log import (
    CREATED,
    Facts,
    Floats,
    Ints,
    VoteLog,
    before_votes,
    counting,
    current_reading,
    read_facts,
    read_log,
    seconds,
    trusted_anew,
)
from drcaptcha.labelling.models import Decision, Estimate, Miss, Source, Vote
from drcaptcha.labelling.weighing import BATCH, Weighed, weigh_votes
from drcaptcha.queries import raw
from handwriting.consensus import honesty
from handwriting.consensus.estimation import MOST_CORES, Hindsight, Log, reestimate

FEW = 2_000
"""Glyphs written in one transaction: few enough that a visitor's answer waits a fifth of a second at the most."""

FEWEST_VOTES = 500
"""From fewer votes nothing is estimated: the first belief says more."""

GATHERING = {"wal_autocheckpoint": 131_072, "cache_size": -131_072}
"""How SQLite writes all labels: pages (4 KiB) that its log may hold before they are moved, KiB kept in memory."""

GROWTH = 1.5
"""By what factor the log has to grow before it is worth an estimate again."""

Progress = Callable[[float], object]


def is_due() -> bool:
    """Tell whether so many votes have come since the last estimate that another one would tell more.

    They are counted by their numbers, which costs the same however many there are.
    """
    ends = Vote.objects.aggregate(first=Min("pk"), last=Max("pk"))
    if ends["first"] is None:
        return False
    newest = Estimate.objects.order_by("-pk").values_list("last_vote", flat=True).first()
    count, before = (last - ends["first"] + 1 for last in (ends["last"], newest or 0))
    return bool(count >= FEWEST_VOTES and (newest is None or count >= GROWTH * before))


def estimate(*, now: datetime, progress: Progress = lambda _: None) -> Estimate:
    """Estimate how people read and how honest each source is, from the whole log; then let every label follow.

    Accepted labels may be reopened. Broken off, the old estimate goes on to hold; if the new one was stored already,
    ``relabel`` brings the labels after it.
    """
    started = time.perf_counter()
    if Source.objects.filter(Q(votes__isnull=False) | Q(misses__isnull=False), honesty=None).exists():
        _reweigh_sources()
    past = _read_past()
    votes, ends = past.votes, past.ends
    _, reading = current_reading()
    known = before_votes(past.facts, reading)
    sources = _heard_sources()
    place = np.searchsorted(sources.key, votes.source)
    log = Log(
        glyph=np.searchsorted(known.key, votes.glyph),
        answer=votes.answer,
        source=place,
        audit=votes.known,
        weight=honesty.faded(np.ones(len(votes)), sources.end[place] - votes.time),
    )
    missed = _missed(sources, ends.miss)
    seen = reestimate(log, known.prior, known.level, missed, reading, progress=lambda share: progress(0.8 * share))
    del known, log
    made = Estimate(
        parameters=seen.reading.to_json(),
        votes=len(votes),
        sources=len(sources.key),
        last_vote=ends.vote,
        last_miss=ends.miss,
        created=now,
    )
    _settle(made, sources, seen)
    made.moved = relabel(now=now, past=past, progress=lambda share: progress(0.8 + 0.2 * share))
    made.seconds = time.perf_counter() - started
    made.save(update_fields=["moved", "seconds"])
    return made


@dataclass(frozen=True)
class _Ends:
    """The numbers of the last vote, miss and decision at one moment."""

    vote: int
    miss: int
    decision: int


@dataclass(frozen=True)
class Past:
    """The log of votes that count, by glyph, and what is stored of the glyphs, both as of no earlier than the ends."""

    ends: _Ends
    votes: VoteLog
    facts: Facts


def _read_past() -> Past:
    ends = _ends()
    votes = read_log(until=ends.vote)
    missed = np.fromiter(Miss.objects.order_by().values_list("glyph", flat=True).distinct(), np.int64)
    # Sorting takes a tenth of the time of np.unique, and neither twos nor glyphs that are gone do harm here.
    facts = read_facts(np.sort(np.concatenate([votes.glyph, missed])))
    votes = counting(votes, facts)
    heard = (facts.given_label == "") | np.isin(facts.key, votes.glyph) | np.isin(facts.key, missed)
    return Past(ends, votes, facts if heard.all() else facts[heard])


def _ends() -> _Ends:
    """Return what was last written, when nothing earlier is still being written."""
    decision, miss, vote = _end(Decision), _end(Miss), _end(Vote)
    return _Ends(vote, miss, decision)


def _end(model: type[Vote | Miss | Decision]) -> int:
    """Return the number of the last row.

    PostgreSQL gives numbers before rows are committed, so writers are waited for, with no other table held meanwhile.
    """
    with transaction.atomic():
        _hold(model, "SHARE")
        return model.objects.aggregate(last=Max("pk"))["last"] or 0


def _hold(model: type[models.Model], mode: str) -> None:
    """Lock a table until the transaction ends. SQLite has one writer at a time anyway."""
    connection = connections[Vote.objects.db]
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(f"LOCK TABLE {model._meta.db_table} IN {mode} MODE")  # noqa: SLF001


@dataclass(frozen=True)
class _Heard:
    """The sources of which anything was heard: when that last was, as it is stored and in seconds since 1970."""

    key: Ints
    weighed: Sequence[Any]
    end: Floats


def _heard_sources() -> _Heard:
    rows = raw(Source.objects.exclude(weighed=None).order_by("pk").values_list("pk", "weighed"))
    weighed = [row[1] for row in rows]
    return _Heard(np.array([row[0] for row in rows], np.int64), weighed, seconds(weighed))


def _missed(sources: _Heard, until: int) -> Floats:
    """Return the doubt that missed controls raise, by source, as it counts when each was last heard of."""
    rows = raw(Miss.objects.filter(pk__lte=until).order_by("pk").values_list("source", CREATED))
    place = np.searchsorted(sources.key, np.array([row[0] for row in rows], np.int64))
    age = sources.end[place] - seconds([row[1] for row in rows])
    missed = np.zeros(len(sources.key))
    np.add.at(missed, place, honesty.faded(np.full(len(rows), -honesty.CONTROL_MISSED), age))
    return missed


def _settle(made: Estimate, sources: _Heard, seen: Hindsight) -> None:
    """Store the estimate, and what was found of each source as that from which its later votes go on.

    What is held of it now is written as if nothing had come since, which ``relabel`` mends where something has.
    """
    trust, doubt = seen.trust.tolist(), seen.doubt.tolist()
    share, mass = seen.percent.tolist(), honesty.mass(seen.trust, seen.doubt, seen.reading.certainty).tolist()
    moments = sources.weighed
    rows = list(zip(trust, doubt, moments, trust, doubt, moments, share, mass, sources.key.tolist(), strict=True))
    with transaction.atomic(), connections[Source.objects.db].cursor() as cursor:
        # Of two estimates at once the later is the newest, and what it settles is what stays.
        _hold(Estimate, "SHARE ROW EXCLUSIVE")
        made.save()
        cursor.executemany(
            "UPDATE labelling_source SET settled_trust = %s, settled_doubt = %s, settled = %s, trust = %s, doubt = %s, "
            "weighed = %s, honesty = %s, mass = %s WHERE id = %s",
            rows,
        )


def relabel(*, now: datetime, past: Past | None = None, progress: Progress = lambda _: None) -> int:
    """Compute honesty, labels and states anew from the log and the newest estimate; return how many glyphs moved.

    Where nothing but the log has changed them, none does. A glyph that is to move is held, and what was heard of or
    changed meanwhile is weighed again in the end, so visitors can go on voting. ``past`` is what was read
    already.
    """
    past = past or _read_past()
    _reweigh_sources()
    _, reading = current_reading()
    votes, known = trusted_anew(past.votes, reading), before_votes(past.facts, reading)
    moved: list[int] = []

    def weighed_from(start: int) -> Weighed:
        some = known[start : start + BATCH]
        first, last = np.searchsorted(votes.glyph, [some.key[0], some.key[-1] + 1])
        return weigh_votes(some, votes[first:last], reading)

    done = 0
    with _gathered_writes():
        for weighed in _ahead(weighed_from, range(0, len(known), BATCH)):
            moved += _write(weighed, past.ends, now)
            done += len(weighed.known)
            progress(done / len(known))
    late = _late(past.ends, moved)
    return len(moved) + sum(decide(late[start : start + FEW], now) for start in range(0, len(late), FEW))


def _ahead(weigh: Callable[[int], Weighed], starts: Sequence[int]) -> Iterator[Weighed]:
    """Weigh on all cores while what came before is written; no further ahead, so that memory stays bounded."""
    cores = min(os.cpu_count() or 1, MOST_CORES)
    with ThreadPoolExecutor(cores) as pool:
        pending = deque(pool.submit(weigh, start) for start in starts[: cores + 1])
        for start in starts[cores + 1 :]:
            yield pending.popleft().result()
            pending.append(pool.submit(weigh, start))
        while pending:
            yield pending.popleft().result()


@contextmanager
def _gathered_writes() -> Iterator[None]:
    """Let SQLite gather what is written in the block, in place of moving the same pages over and over again."""
    connection = connections[Glyph.objects.db]
    if connection.vendor != "sqlite":
        yield
        return
    with connection.cursor() as cursor:
        before = {name: cursor.execute(f"PRAGMA {name}").fetchone()[0] for name in GATHERING}
        for name, value in GATHERING.items():
            cursor.execute(f"PRAGMA {name}={value}")
        try:
            yield
        finally:
            for name, value in before.items():
                cursor.execute(f"PRAGMA {name}={value}")


def _write(weighed: Weighed, ends: _Ends, now: datetime) -> list[int]:
    """Write what has changed, and move the glyphs that neither were heard of nor changed since; return their keys.

    What drifts and what moves goes into one transaction, since much of it lies on the same pages.
    """
    moves, moved = changed(weighed), []
    rows = np.flatnonzero(moves | drifted(weighed))
    for start in range(0, len(rows), FEW):
        some = rows[start : start + FEW]
        with transaction.atomic():
            lock(weighed.known.key[some].tolist())
            note_drift(weighed, some[~moves[some]])
            still = as_read(weighed.known, some[moves[some]])
            heard = {*_since(Vote, ends.vote), *_since(Miss, ends.miss)}
            still = still[~np.isin(weighed.known.key[still], list(heard))]
            write_moves(weighed, still, now)
        moved += weighed.known.key[still].tolist()
    return moved


def _since(model: type[Vote | Miss | Decision], last: int) -> list[int]:
    """Return the glyphs of the rows after the one numbered ``last``."""
    return list(model.objects.filter(pk__gt=last).values_list("glyph", flat=True))


def _late(ends: _Ends, moved: Sequence[int]) -> list[int]:
    """Return the glyphs that may have been written over, since visitors or administrators changed them meanwhile.

    Those are the ones heard of after the ends, those whose voters were, and those that others than ``moved`` changed.
    """
    _ends()  # Waits for what is being written.
    late = {*_since(Vote, ends.vote), *_since(Miss, ends.miss)}
    changes = Counter(_since(Decision, ends.decision))
    changes.subtract(moved)
    late |= {glyph for glyph, count in changes.items() if count > 0}
    voters = Vote.objects.filter(pk__gt=ends.vote).values_list("source", flat=True)
    missers = Miss.objects.filter(pk__gt=ends.miss).values_list("source", flat=True)
    for sources in (voters, missers):
        late |= {*Vote.objects.filter(source__in=sources).values_list("glyph", flat=True)}
        late |= {*Miss.objects.filter(source__in=sources, alone=True).values_list("glyph", flat=True)}
    return sorted(late)


@dataclass(frozen=True)
class _Evidence:
    """What was heard of sources: their keys, parts of an observation (positive: trust), seconds since 1970."""

    source: Ints
    part: Floats
    time: Floats


def _evidence(after: Estimate | None, sources: Sequence[int] | None) -> _Evidence:
    """Return what votes and misses after an estimate, or all, said of these sources, or all, when they came."""
    votes = Vote.objects.filter(pk__gt=after.last_vote if after else 0)
    misses = Miss.objects.filter(pk__gt=after.last_miss if after else 0)
    if sources is not None:
        votes, misses = votes.filter(source__in=sources), misses.filter(source__in=sources)
    said = raw(votes.order_by("pk").values_list("source", "evidence", CREATED))
    missed = raw(misses.order_by("pk").values_list("source", CREATED))
    return _Evidence(
        np.array([row[0] for row in said] + [row[0] for row in missed], np.int64),
        np.array([row[1] for row in said] + [honesty.CONTROL_MISSED] * len(missed), np.float64),
        np.concatenate([seconds([row[2] for row in said]), seconds([row[1] for row in missed])]),
    )


def _reweigh_sources() -> None:
    """Add up for every source what the last estimate concluded and what was heard since.

    Those that have to change are held and added up again, so that what a visitor says meanwhile is not lost.
    """
    wrong = [row[-1] for row in _differing(None)]
    for start in range(0, len(wrong), FEW):
        some = wrong[start : start + FEW]
        with transaction.atomic(), connections[Source.objects.db].cursor() as cursor:
            list(Source.objects.select_for_update(no_key=True).filter(pk__in=some).order_by("pk").values_list("pk"))
            cursor.executemany(
                "UPDATE labelling_source SET weighed = %s, trust = %s, doubt = %s, honesty = %s, mass = %s "
                "WHERE id = %s",
                _differing(some),
            )


def _differing(sources: Sequence[int] | None) -> list[tuple[Any, ...]]:
    """Return (weighed, trust, doubt, honesty, mass, key) of these sources, or all, where the log says otherwise."""
    newest, (_, reading) = Estimate.objects.order_by("-pk").first(), current_reading()
    stored = Source.objects.all() if sources is None else Source.objects.filter(pk__in=sources)
    rows = raw(stored.order_by("pk").values_list("pk", "settled_trust", "settled_doubt", "settled", *_WEIGHED))
    if not rows:
        return []
    columns = list(zip(*rows, strict=True))
    keys = np.array(columns[0], np.int64)
    heard = _evidence(newest, sources)
    place = np.searchsorted(keys, heard.source).clip(max=len(keys) - 1)
    # A source that came while the others were read is left to itself.
    here = keys[place] == heard.source
    place, heard = place[here], _Evidence(heard.source[here], heard.part[here], heard.time[here])
    some = np.array([one is not None for one in columns[3]])
    start = np.zeros(len(keys))
    start[some] = seconds([one for one in columns[3] if one is not None])
    end = start.copy()
    np.maximum.at(end, place, heard.time)
    trust, doubt = (
        _added(np.array(settled, np.float64), np.where(some, end - start, 0), place, part, end[place] - heard.time)
        for settled, part in ((columns[1], heard.part), (columns[2], -heard.part))
    )
    share = honesty.percent(trust, doubt, reading.honesty, reading.certainty)
    after = np.stack([trust, doubt, share, honesty.mass(trust, doubt, reading.certainty)], axis=1)
    before = np.array([[np.nan if one is None else one for one in row[4:]] for row in rows], np.float64)
    wrong = np.flatnonzero((end > 0) & ~np.isclose(after, before, rtol=0, atol=1e-9).all(1))
    return [
        (moment, a, b, int(c), int(d), key)
        for moment, (a, b, c, d), key in zip(
            _moments(end[wrong]), after[wrong].tolist(), keys[wrong].tolist(), strict=True
        )
    ]


_WEIGHED = ("trust", "doubt", "honesty", "mass")


def _moments(times: Floats) -> list[Any]:
    """Return times as the database takes them."""
    adapt = connections[Source.objects.db].ops.adapt_datetimefield_value
    return [adapt(datetime.fromtimestamp(one, UTC)) for one in times.tolist()]


def _added(settled: Floats, settled_age: Floats, place: Ints, parts: Floats, age: Floats) -> Floats:
    """Return what was settled, faded, with the positive ones of the parts that came later."""
    total = honesty.faded(settled, settled_age)
    np.add.at(total, place, honesty.faded(np.maximum(parts, 0), age))
    return total


def follow_priors(sender: object, *, now: datetime, **_: object) -> None:  # noqa: ARG001
    """Let labels follow new priors."""
    relabel(now=now)
