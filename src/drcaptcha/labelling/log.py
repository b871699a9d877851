"""The log of votes as arrays, for arithmetic."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

import numpy as np
from django.conf import settings
from django.db import connections
from django.db.models import Count, F, Q
from numpy.typing import NDArray

from drcaptcha.glyphs.models import Glyph, usable_label
from drcaptcha.labelling.models import CANT_READ, Estimate, Miss, Vote
from drcaptcha.learning.models import Prior
from handwriting.alphabet import ALPHABETS, Alphabet
from handwriting.consensus import honesty
from handwriting.consensus.beliefs import levels
from handwriting.consensus.reading import Reading
from handwriting.consensus.verdicts import given_prior

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

EPOCH = np.datetime64("1970-01-01T00:00:00")


def alphabet() -> Alphabet:
    """Return the alphabet of this installation."""
    return ALPHABETS[settings.DRCAPTCHA_ALPHABET]


_readings: dict[tuple[int, str], Reading] = {}


def current_reading() -> tuple[int | None, Reading]:
    """Return the number of the newest estimate, and how people read by it; before the first, the initial belief.

    It is kept in memory, since its tables take a moment to make.
    """
    newest = Estimate.objects.order_by("-pk").values_list("pk", flat=True).first()
    key = (newest or 0, settings.DRCAPTCHA_ALPHABET)
    if key not in _readings:
        parameters = Estimate.objects.values_list("parameters", flat=True).get(pk=newest) if newest else None
        reading = Reading.from_json(parameters, alphabet()) if parameters else Reading.initial(alphabet())
        _readings.clear()
        _readings[key] = reading
    return newest, _readings[key]


@dataclass(frozen=True)
class VoteLog:
    """Votes that count ``(v,)``, by glyph and then by number, the first of each source for each glyph.

    ``glyph`` and ``source`` are row numbers, ``answer`` the index of what was typed (see ``handwriting.consensus``),
    ``honesty`` the source's in percent by all that is known of it but this vote, ``known`` whether the label was known
    then, ``time`` its seconds since 1970.
    """

    key: Ints
    glyph: Ints
    source: Ints
    answer: Ints
    honesty: Ints
    known: NDArray[np.bool_]
    time: Floats

    def __len__(self) -> int:
        return len(self.key)

    def __getitem__(self, some: Any) -> "VoteLog":
        return VoteLog(*(getattr(self, field.name)[some] for field in fields(self)))


def read_votes(glyphs: Collection[int] | None = None, *, until: int | None = None) -> VoteLog:
    """Return the votes on these glyphs, or the whole log, up to the vote numbered ``until``."""
    votes = Vote.objects.filter(Q(glyph__heard_from=None) | Q(created__gte=F("glyph__heard_from")))
    if glyphs is not None:
        votes = votes.filter(glyph__in=glyphs)
    if until is not None:
        votes = votes.filter(pk__lte=until)
    rows = votes.order_by("glyph", "pk").values_list(
        "pk", "glyph", "source", "typed", "source__honesty", "source__mass", "known", "evidence", "created"
    )
    columns: Sequence[Sequence[Any]] = list(zip(*raw(rows), strict=True)) or [()] * 9
    key, glyph, source = (np.array(column, np.int64) for column in columns[:3])
    answer = _indices(np.array(columns[3], "<U1"))
    _, reading = current_reading()
    general = round(100 * reading.honesty)
    share = np.array([general if one is None else one for one in columns[4]], np.int64)
    evidence = np.array(columns[7], np.float64)
    log = VoteLog(
        key,
        glyph,
        source,
        answer,
        honesty.without(share, np.array(columns[5], np.int64), evidence, reading.certainty),
        np.array(columns[6], "<U1") != "",
        seconds(columns[8]),
    )
    if not len(log):
        return log
    # Neither what is no character nor a second vote of the same source counts.
    log = log[log.answer <= len(alphabet())]
    order = np.lexsort((log.key, log.source, log.glyph))
    same = (np.diff(log.glyph[order]) == 0) & (np.diff(log.source[order]) == 0)
    first = np.sort(order[np.concatenate([[True], ~same])[: len(order)]])
    return log[first]


def raw(rows: Any) -> list[tuple[Any, ...]]:
    """Read rows without converting each value, which would take longer than all else."""
    sql, parameters = rows.query.get_compiler(rows.db).as_sql()
    with connections[rows.db].cursor() as cursor:
        cursor.execute(sql, parameters)
        return list(cursor.fetchall())


def _indices(typed: NDArray[np.str_]) -> Ints:
    """Return the index of each typed character in the alphabet; K for "can't read", K + 1 for another."""
    characters, place = np.unique(typed, return_inverse=True)
    letters, size = alphabet(), len(alphabet())
    found = [
        size if one == CANT_READ else size + 1 if (index := letters.index(one)) is None else index
        for one in characters.tolist()
    ]
    return np.array(found, np.int64)[place] if len(typed) else np.empty(0, np.int64)


def seconds(column: Sequence[Any]) -> Floats:
    """Return times in seconds since 1970: SQLite keeps them as text in UTC, PostgreSQL gives datetimes."""
    if not column or isinstance(column[0], datetime):
        return np.array([time.timestamp() for time in column], np.float64)
    return (np.array(column, "datetime64[us]") - EPOCH) / np.timedelta64(1, "s")


@dataclass(frozen=True)
class Known:
    """What is known of ``n`` glyphs before their votes, in the order of their keys.

    ``prior`` ``(n, K)``; ``level`` ``(n,)`` how hard they are; ``given`` ``(n,)`` the class of the given label, or -1;
    ``ensemble`` ``(n,)`` whose opinion the prior is, or 0. ``exempt`` ``(n,)``: its given label may mean two classes.
    """

    key: Ints
    state: NDArray[np.str_]
    label: NDArray[np.str_]
    posterior: Floats
    worth: Floats
    prior: Floats
    level: Ints
    given: Ints
    ensemble: Ints
    exempt: NDArray[np.bool_]


def read_known(keys: Collection[int], reading: Reading) -> Known:
    """Return what is known of these glyphs. Those that no ensemble has scored have an even prior."""
    rows = list(
        Glyph.objects.filter(pk__in=keys)
        .order_by("pk")
        .values_list("pk", "state", "label", "given", "passes", "posterior", "worth", "data_set__caseless")
    )
    letters = reading.alphabet
    key, state, label, given, passes, posterior, worth, caseless = list(zip(*rows, strict=True)) or [()] * 8
    usable = [
        usable_label(one, letters, caseless=case) if one else "" for one, case in zip(given, caseless, strict=True)
    ]
    classes = np.array([-1 if not one else letters.classes.index(one) for one in usable], np.int64)
    prior, ensemble = _priors(np.array(key, np.int64), len(letters))
    level = levels(prior, ensemble > 0)
    held = classes >= 0
    if held.any():
        misses = _misses(key)
        prior[held] = given_prior(
            classes[held],
            np.array(passes, np.int64)[held],
            np.array([misses.get(one, 0) for one in key], np.int64)[held],
            reading.affinity,
        )
    return Known(
        np.array(key, np.int64),
        np.array(state, "<U12"),
        np.array(label, "<U1"),
        np.array([np.nan if one is None else one for one in posterior]),
        np.array(worth, np.float64),
        prior,
        level,
        classes,
        ensemble,
        np.array([bool(one) and not use for one, use in zip(given, usable, strict=True)], bool),
    )


def _priors(keys: Ints, size: int) -> tuple[Floats, Ints]:
    prior, ensemble = np.full((len(keys), size), 1 / size), np.zeros(len(keys), np.int64)
    stored = list(Prior.objects.filter(glyph__in=keys.tolist()).values_list("glyph", "ensemble", "probabilities"))
    fitting = [row for row in stored if len(row[2]) == 2 * size]
    if fitting:
        places = np.searchsorted(keys, [row[0] for row in fitting])
        said = np.frombuffer(b"".join(bytes(row[2]) for row in fitting), np.float16).reshape(-1, size)
        # What a 16-bit float rounds away is given back: no network is as sure as that.
        sure = np.maximum(said.astype(np.float64), 1e-5)
        prior[places] = sure / sure.sum(1, keepdims=True)
        ensemble[places] = [row[1] for row in fitting]
    return prior, ensemble


def _misses(keys: Collection[int]) -> dict[int, int]:
    alone = Miss.objects.filter(glyph__in=keys, alone=True).filter(
        Q(glyph__heard_from=None) | Q(created__gte=F("glyph__heard_from"))
    )
    return dict(alone.values_list("glyph").annotate(count=Count("pk")).order_by())
