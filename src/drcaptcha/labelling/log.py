"""The log of votes as arrays, for arithmetic."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any

import numpy as np
from django.conf import settings
from django.core.exceptions import EmptyResultSet
from django.db import connections
from django.db.models import Count, F, Q
from numpy.typing import NDArray

from drcaptcha.glyphs.models import Glyph, Split, usable_label
from drcaptcha.labelling.models import CANT_READ, Estimate, Miss, Source, Vote
from drcaptcha.learning.models import Prior
from handwriting.alphabet import ALPHABETS, Alphabet
from handwriting.consensus import honesty
from handwriting.consensus.beliefs import levels
from handwriting.consensus.reading import Reading
from handwriting.consensus.verdicts import doubt_of_control, given_prior

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
    then, ``evidence`` what the vote said of its source, ``time`` its seconds since 1970.
    """

    key: Ints
    glyph: Ints
    source: Ints
    answer: Ints
    honesty: Ints
    known: NDArray[np.bool_]
    evidence: Floats
    time: Floats

    @property
    def last(self) -> int:
        """The highest number of a vote; 0 where there is none."""
        return int(self.key.max(initial=0))

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
        evidence,
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


def trusted_anew(votes: VoteLog) -> VoteLog:
    """Return the same votes with the honesty that their sources have now."""
    _, reading = current_reading()
    rows = raw(Source.objects.exclude(honesty=None).order_by("pk").values_list("pk", "honesty", "mass"))
    key, share, mass = np.array(rows, np.int64).reshape(-1, 3).T
    place = np.searchsorted(key, votes.source)
    return replace(votes, honesty=honesty.without(share[place], mass[place], votes.evidence, reading.certainty))


def raw(rows: Any) -> list[tuple[Any, ...]]:
    """Read rows without converting each value, which would take longer than all else."""
    try:
        sql, parameters = rows.query.get_compiler(rows.db).as_sql()
    except EmptyResultSet:
        return []
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
    given_label: NDArray[np.str_]
    posterior: Floats
    worth: Floats
    prior: NDArray[np.float32]
    level: Ints
    given: Ints
    ensemble: Ints
    exempt: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.key)

    def __getitem__(self, some: Any) -> "Known":
        return Known(*(getattr(self, field.name)[some] for field in fields(self)))


def read_known(keys: Collection[int], reading: Reading) -> Known:
    """Return what is known of these glyphs. Those that no ensemble has scored have an even prior."""
    rows = Glyph.objects.filter(pk__in=keys)
    priors = Prior.objects.filter(glyph__in=keys)
    return _known(raw(rows.order_by("pk").values_list(*_COLUMNS)), raw(priors.values_list(*_PRIOR)), reading)


def read_all_known(reading: Reading, heard: Ints) -> Known:
    """Return what is known of every training glyph whose label was not given, or that was heard of."""
    parts, last = [], 0
    glyphs = Glyph.objects.filter(split=Split.TRAIN).order_by("pk").values_list(*_COLUMNS)
    while rows := raw(glyphs.filter(pk__gt=last)[:_BLOCK]):
        priors = Prior.objects.filter(glyph__gt=last, glyph__lte=rows[-1][0])
        last = rows[-1][0]
        some = set(heard[(heard >= rows[0][0]) & (heard <= last)].tolist())
        rows = [row for row in rows if not row[3] or row[0] in some]
        parts.append(_known(rows, raw(priors.values_list(*_PRIOR)), reading))
    if not parts:
        return _known([], [], reading)
    return Known(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Known)))


_COLUMNS = ("pk", "state", "label", "given", "passes", "posterior", "worth", "data_set__caseless")
_PRIOR = ("glyph", "ensemble", "probabilities")
_BLOCK = 50_000


def _known(rows: Sequence[tuple[Any, ...]], priors: Sequence[tuple[Any, ...]], reading: Reading) -> Known:
    letters = reading.alphabet
    key, state, label, given, passes, posterior, worth, caseless = list(zip(*rows, strict=True)) or [()] * 8
    keys = np.array(key, np.int64)
    usable = [
        usable_label(one, letters, caseless=case) if one else "" for one, case in zip(given, caseless, strict=True)
    ]
    classes = np.array([letters.classes.index(one) if one else -1 for one in usable], np.int64)
    prior, ensemble = _priors(keys, priors, len(letters))
    level = levels(prior, ensemble > 0)
    held = classes >= 0
    missed = _misses(keys, letters)
    if held.any():
        total = np.array([sum(missed.get(key, {}).values()) for key in keys[held].tolist()], np.int64)
        prior[held] = given_prior(classes[held], np.array(passes, np.int64)[held], total, reading.affinity)
    for row in np.flatnonzero(~held):
        for of, count in missed.get(int(keys[row]), {}).items():
            prior[row, of] *= doubt_of_control(passes[row], count)
    prior /= prior.sum(1, keepdims=True)
    return Known(
        keys,
        np.array(state, "<U12"),
        np.array(label, "<U1"),
        np.array(given, "<U1"),
        np.array([np.nan if one is None else one for one in posterior], np.float64),
        np.array(worth, np.float64),
        prior,
        level,
        classes,
        ensemble,
        np.array([bool(one) and not use for one, use in zip(given, usable, strict=True)], bool),
    )


def _priors(keys: Ints, stored: Sequence[tuple[Any, ...]], size: int) -> tuple[NDArray[np.float32], Ints]:
    prior, ensemble = np.full((len(keys), size), 1 / size, np.float32), np.zeros(len(keys), np.int64)
    places = np.searchsorted(keys, np.array([row[0] for row in stored], np.int64)).clip(max=max(len(keys) - 1, 0))
    fitting = [
        (place, row[1], bytes(row[2]))
        for place, row in zip(places.tolist(), stored, strict=True)
        if len(row[2]) == 2 * size and len(keys) and keys[place] == row[0]
    ]
    if fitting:
        at = [row[0] for row in fitting]
        said = np.frombuffer(b"".join(row[2] for row in fitting), np.float16).reshape(-1, size)
        # What a 16-bit float rounds away is given back: no network is as sure as that.
        sure = np.maximum(said.astype(np.float32), np.float32(1e-5))
        prior[at] = sure / sure.sum(1, keepdims=True)
        ensemble[at] = [row[1] for row in fitting]
    return prior, ensemble


def _misses(keys: Ints, letters: Alphabet) -> dict[int, dict[int, int]]:
    """Return how often glyphs were missed, by key and by the class of the label that they had.

    Only by sources that are honest by more than half, and who had all other controls right.
    """
    if not len(keys):
        return {}
    alone = Miss.objects.filter(
        Q(glyph__heard_from=None) | Q(created__gte=F("glyph__heard_from")),
        alone=True,
        source__honesty__gt=HALF,
        glyph__gte=int(keys[0]),
        glyph__lte=int(keys[-1]),
    )
    if len(keys) < _FEW:
        alone = alone.filter(glyph__in=keys.tolist())
    counts: dict[int, dict[int, int]] = {}
    for key, label, count in alone.values_list("glyph", "known").annotate(count=Count("pk")).order_by():
        of = letters.index(label)
        if of is not None:
            counts.setdefault(key, {})[of] = count
    return counts


_FEW = 1_000

HALF = 50
"""Percent of honesty above which a source has a say in whether a control is wrong."""
