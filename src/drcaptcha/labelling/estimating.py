"""Looking back over the whole log: honesty and reading are estimated anew, and every label follows."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np
from django.db import connections, transaction
from django.db.models import Exists, Max, OuterRef, Q
from numpy.typing import NDArray

from drcaptcha.glyphs.models import Glyph, Split
from drcaptcha.labelling.deciding import decide
from drcaptcha.labelling.log import Floats, Ints, current_reading, raw, read_known, read_votes, seconds
from drcaptcha.labelling.models import Estimate, Miss, Source, Vote
from handwriting.consensus import honesty
from handwriting.consensus.estimation import Log, reestimate
from handwriting.consensus.reading import Reading

BATCH = 5_000
"""Glyphs a transaction: few enough that a visitor's answer never waits long."""

FEWEST_VOTES = 500
"""From fewer votes nothing is estimated: the first belief says more."""

GROWTH = 1.25
"""By what factor the log has to grow before it is worth an estimate again."""

Progress = Callable[[float], object]


def is_due() -> bool:
    """Tell whether so many votes have come since the last estimate that another one would tell more."""
    newest = Estimate.objects.order_by("-pk").first()
    latest = Vote.objects.aggregate(last=Max("pk"))["last"] or 0
    return latest >= FEWEST_VOTES and (newest is None or latest >= GROWTH * newest.last_vote)


def estimate(*, now: datetime, progress: Progress = lambda _: None) -> Estimate:
    """Estimate how people read and how honest each source is, from the whole log; then let every label follow.

    Accepted labels may be reopened. Broken off, the old estimate goes on to hold; if the new one was stored already,
    ``relabel`` brings the labels after it.
    """
    started = time.perf_counter()
    last_vote = Vote.objects.aggregate(last=Max("pk"))["last"] or 0
    last_miss = Miss.objects.aggregate(last=Max("pk"))["last"] or 0
    votes = read_votes(until=last_vote)
    _, reading = current_reading()
    heard = _evidence(None, (last_vote, last_miss))
    sources = np.unique(np.concatenate([votes.source, heard.source]))
    end = np.full(len(sources), -np.inf)
    np.maximum.at(end, np.searchsorted(sources, heard.source), heard.time)
    place = np.searchsorted(sources, votes.source)
    glyphs, row = np.unique(votes.glyph, return_inverse=True)
    prior, level = _priors(glyphs, reading)
    log = Log(row, votes.answer, place, votes.known, honesty.faded(np.ones(len(votes)), end[place] - votes.time))
    seen = reestimate(
        log, prior, level, _missed(sources, end, last_miss), reading, progress=lambda share: progress(share / 2)
    )
    with transaction.atomic():
        made = Estimate.objects.create(
            parameters=seen.reading.to_json(),
            votes=len(votes),
            sources=len(sources),
            last_vote=last_vote,
            last_miss=last_miss,
            created=now,
        )
        _settle(sources, seen.trust, seen.doubt, end)
    made.moved = relabel(now=now, progress=lambda share: progress(0.5 + share / 2))
    made.seconds = time.perf_counter() - started
    made.save(update_fields=["moved", "seconds"])
    return made


def _missed(sources: Ints, end: Floats, until: int) -> Floats:
    """Return the doubt that missed controls raise, by source, as it counts when each was last heard of."""
    rows = raw(Miss.objects.filter(pk__lte=until).order_by("pk").values_list("source", "created"))
    place = np.searchsorted(sources, np.array([row[0] for row in rows], np.int64))
    age = end[place] - seconds([row[1] for row in rows])
    missed = np.zeros(len(sources))
    np.add.at(missed, place, honesty.faded(np.full(len(rows), -honesty.CONTROL_MISSED), age))
    return missed


def _settle(sources: Ints, trust: Floats, doubt: Floats, end: Floats) -> None:
    """Store what was found of each source, as that from which its later votes go on."""
    rows = [
        (float(a), float(b), datetime.fromtimestamp(c, UTC), int(key))
        for key, a, b, c in zip(sources, trust, doubt, end, strict=True)
    ]
    adapt = connections[Source.objects.db].ops.adapt_datetimefield_value
    with connections[Source.objects.db].cursor() as cursor:
        cursor.executemany(
            "UPDATE labelling_source SET settled_trust = %s, settled_doubt = %s, settled = %s WHERE id = %s",
            [(a, b, adapt(c), key) for a, b, c, key in rows],
        )


def _priors(glyphs: Ints, reading: Reading) -> tuple[NDArray[np.float32], Ints]:
    prior, level = np.empty((len(glyphs), len(reading.alphabet)), np.float32), np.empty(len(glyphs), np.int64)
    for start in range(0, len(glyphs), BATCH):
        known = read_known(glyphs[start : start + BATCH].tolist(), reading)
        prior[start : start + BATCH], level[start : start + BATCH] = known.prior, known.level
    return prior, level


@dataclass(frozen=True)
class _Evidence:
    """What was heard of sources: row of the source, part of an observation (positive: trust), seconds since 1970."""

    source: Ints
    part: Floats
    time: Floats


def _evidence(after: Estimate | None, until: tuple[int, int] | None = None) -> _Evidence:
    """Return what votes and misses said of their sources when they came, those after an estimate or all."""
    votes = Vote.objects.filter(pk__gt=after.last_vote if after else 0)
    misses = Miss.objects.filter(pk__gt=after.last_miss if after else 0)
    if until:
        votes, misses = votes.filter(pk__lte=until[0]), misses.filter(pk__lte=until[1])
    said = raw(votes.order_by("pk").values_list("source", "evidence", "created"))
    missed = raw(misses.order_by("pk").values_list("source", "created"))
    return _Evidence(
        np.array([row[0] for row in said] + [row[0] for row in missed], np.int64),
        np.array([row[1] for row in said] + [honesty.CONTROL_MISSED] * len(missed), np.float64),
        np.concatenate([seconds([row[2] for row in said]), seconds([row[1] for row in missed])]),
    )


def relabel(*, now: datetime, progress: Progress = lambda _: None) -> int:
    """Compute honesty, labels and states anew from the log and the newest estimate; return how many glyphs moved.

    Where nothing but the log has changed them, none does.
    """
    _reweigh_sources()
    heard = (
        Q(given="")
        | Exists(Vote.objects.filter(glyph=OuterRef("pk")))
        | Exists(Miss.objects.filter(glyph=OuterRef("pk")))
    )
    keys = list(Glyph.objects.filter(heard, split=Split.TRAIN).order_by("pk").values_list("pk", flat=True))
    moved = 0
    for start in range(0, len(keys), BATCH):
        moved += decide(keys[start : start + BATCH], now)
        progress(min(1, (start + BATCH) / len(keys)))
    return moved


def _reweigh_sources() -> None:
    """Add up for every source what the last estimate concluded and what was heard since."""
    newest = Estimate.objects.order_by("-pk").first()
    _, reading = current_reading()
    rows = raw(Source.objects.order_by("pk").values_list("pk", "settled_trust", "settled_doubt", "settled", *_WEIGHED))
    if not rows:
        return
    columns = list(zip(*rows, strict=True))
    keys = np.array(columns[0], np.int64)
    heard = _evidence(newest)
    place = np.searchsorted(keys, heard.source)
    start = np.full(len(keys), -np.inf)
    some = np.array([one is not None for one in columns[3]])
    start[some] = seconds([one for one in columns[3] if one is not None])
    end = start.copy()
    np.maximum.at(end, place, heard.time)
    trust, doubt = (
        _added(np.array(settled, np.float64), np.where(some, end - start, 0), place, part, end[place] - heard.time)
        for settled, part in ((columns[1], heard.part), (columns[2], -heard.part))
    )
    after = np.stack(
        [
            trust,
            doubt,
            honesty.percent(trust, doubt, reading.honesty, reading.certainty),
            honesty.mass(trust, doubt, reading.certainty),
        ],
        axis=1,
    )
    before = np.array([[np.nan if one is None else one for one in row[4:]] for row in rows], np.float64)
    changed = np.flatnonzero(np.isfinite(end) & ~np.isclose(after, before, rtol=0, atol=1e-9).all(1))
    with transaction.atomic(), connections[Source.objects.db].cursor() as cursor:
        cursor.executemany(
            "UPDATE labelling_source SET trust = %s, doubt = %s, honesty = %s, mass = %s WHERE id = %s",
            [
                (a, b, int(share), int(mass), int(keys[row]))
                for row, (a, b, share, mass) in zip(changed, after[changed].tolist(), strict=True)
            ],
        )


_WEIGHED = ("trust", "doubt", "honesty", "mass")


def _added(settled: Floats, settled_age: Floats, place: Ints, parts: Floats, age: Floats) -> Floats:
    """Return what was settled, faded, with the positive ones of the parts that came later."""
    total = honesty.faded(settled, settled_age)
    np.add.at(total, place, honesty.faded(np.maximum(parts, 0), age))
    return total


def follow_priors(sender: object, *, now: datetime, **_: object) -> None:  # noqa: ARG001
    """Let labels follow new priors."""
    relabel(now=now)
