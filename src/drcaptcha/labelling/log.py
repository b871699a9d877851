"""The log of votes as arrays, for arithmetic."""

import gc
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from typing import Any, Self

import numpy as np
from django.conf import settings
from django.db.models import Count, F, Q, TextField
from django.db.models.functions import Cast
from numpy.typing import NDArray

from drcaptcha.glyphs.models import Glyph, Split, usable_label
from drcaptcha.labelling.models import CANT_READ, Estimate, Miss, Source, Vote
from drcaptcha.learning.models import Prior
from drcaptcha.queries import Prepared, Question, raw
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
    newest = next((key for (key,) in _NEWEST()), None)
    key = (newest or 0, settings.DRCAPTCHA_ALPHABET)
    reading = _readings.get(key)
    if reading is None:
        parameters = Estimate.objects.values_list("parameters", flat=True).get(pk=newest) if newest else None
        reading = Reading.from_json(parameters, alphabet()) if parameters else Reading.initial(alphabet())
        _readings.clear()
        _readings[key] = reading
    return newest, reading


_NEWEST = Question(lambda: Estimate.objects.order_by("-pk").values_list("pk")[:1])


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


def read_votes(glyphs: Collection[int], reading: Reading) -> VoteLog:
    """Return the votes on these glyphs that count."""
    rows = _VOTES(glyphs)
    share, mass = np.array([row[-2:] for row in rows], np.float64).reshape(-1, 2).T
    log = _votes([row[:-2] for row in rows])
    return _first(_trusted(log, share, mass, reading))


def read_log(*, until: int | None = None) -> VoteLog:
    """Return all votes up to the one numbered ``until`` as they were written, in the order of their numbers.

    ``counting`` picks those that count; the honesty that their sources have now is left to ``trusted_anew``.
    """
    votes = Vote.objects.all() if until is None else Vote.objects.filter(pk__lte=until)
    parts = [_votes(rows) for rows in _blocks(votes, _VOTE)] or [_votes([])]
    return VoteLog(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(VoteLog)))


def counting(votes: VoteLog, facts: "Facts") -> VoteLog:
    """Return those of the whole log that count, on the glyphs of which the facts are."""
    if not len(facts):
        return votes[:0]
    some = votes[np.argsort(votes.glyph, kind="stable")]
    place = np.searchsorted(facts.key, some.glyph).clip(max=len(facts) - 1)
    return _first(some[(facts.key[place] == some.glyph) & (some.time >= facts.since[place])])


def trusted_anew(votes: VoteLog, reading: Reading) -> VoteLog:
    """Return the same votes with the honesty that their sources have now."""
    rows = raw(Source.objects.order_by("pk").values_list("pk", "honesty", "mass"))
    key, share, mass = np.array(rows, np.float64).reshape(-1, 3).T
    place = np.searchsorted(key, votes.source)
    return _trusted(votes, share[place], mass[place], reading)


CREATED = Cast("created", TextField())
"""As text, which is read in a third of the time that a datetime takes."""
_VOTE = ("pk", "glyph", "source", "typed", "known", "evidence", CREATED)


_VOTES = Prepared(
    lambda glyphs: (
        Vote.objects.filter(Q(glyph__heard_from=None) | Q(created__gte=F("glyph__heard_from")), glyph__in=glyphs)
        .order_by("pk")
        .values_list(*_VOTE, "source__honesty", "source__mass")
    )
)


def _votes(rows: Sequence[tuple[Any, ...]]) -> VoteLog:
    key, glyph, source, typed, known, evidence, created = list(zip(*rows, strict=True)) or [()] * len(_VOTE)
    return VoteLog(
        np.array(key, np.int64),
        np.array(glyph, np.int64),
        np.array(source, np.int64),
        _indices(np.array(typed, "<U1")),
        np.zeros(len(rows), np.int64),
        np.array(known, "<U1") != "",
        np.array(evidence, np.float64),
        seconds(created),
    )


def _first(votes: VoteLog) -> VoteLog:
    """Return votes by glyph, without what is no character and all but the first of each source for each glyph.

    Those of one glyph come in the order of their numbers, and remain so.
    """
    some = votes[votes.answer <= len(alphabet())]
    if not len(some):
        return some
    pair = some.glyph * (some.source.max() + 1) + some.source
    some = some[np.sort(np.unique(pair, return_index=True)[1])]
    return some[np.argsort(some.glyph, kind="stable")]


def _trusted(votes: VoteLog, share: Floats, mass: Floats, reading: Reading) -> VoteLog:
    """Return the same votes from sources of this honesty, which is NaN where nothing was heard of them yet."""
    known = np.where(np.isnan(share), round(100 * reading.honesty), share).astype(np.int64)
    honest = honesty.without(known, mass.astype(np.int64), votes.evidence, reading.certainty)
    return replace(votes, honesty=honest)


def _blocks(rows: Any, columns: Sequence[Any]) -> Iterator[list[tuple[Any, ...]]]:
    """Read rows in the order of their numbers, which is the first column, so many at a time that memory is bounded."""
    last = 0
    ordered = rows.order_by("pk").values_list(*columns)
    while some := _uncollected(ordered.filter(pk__gt=last)[:_BLOCK]):
        yield some
        last = some[-1][0]


_BLOCK = 50_000


def _uncollected(rows: Any) -> list[tuple[Any, ...]]:
    """Read rows while Python does not look for cycles among them: there are none, and it takes a third of the time."""
    collected = gc.isenabled()
    gc.disable()
    try:
        return raw(rows)
    finally:
        if collected:
            gc.enable()


def _indices(typed: NDArray[np.str_]) -> Ints:
    """Return the index of each typed character in the alphabet; K for "can't read", K + 1 for another."""
    letters, size, points = alphabet(), len(alphabet()), typed.view(np.uint32)
    index = np.zeros(int(points.max(initial=0)) + 1, np.int64)
    for point in np.flatnonzero(np.bincount(points)).tolist():
        place = size if chr(point) == CANT_READ else letters.index(chr(point))
        index[point] = size + 1 if place is None else place
    found: Ints = index[points]
    return found


def seconds(column: Sequence[Any]) -> Floats:
    """Return times, as datetimes or as text in UTC, in seconds since 1970."""
    if not column or isinstance(column[0], datetime):
        return np.array([time.replace(tzinfo=time.tzinfo or UTC).timestamp() for time in column], np.float64)
    plain = [text.partition("+")[0] for text in column]  # PostgreSQL writes +00 after them.
    return (np.array(plain, "datetime64[us]") - EPOCH) / np.timedelta64(1, "s")


@dataclass(frozen=True)
class Facts:
    """What is stored of ``n`` glyphs, in the order of their keys.

    ``opinion`` ``(n, K)`` is that of an ensemble, even where none has one; ``ensemble`` ``(n,)`` whose it is, or 0;
    ``level`` ``(n,)`` how hard the glyphs are by it; ``given`` ``(n,)`` the class of the given label, or -1.
    ``exempt`` ``(n,)``: its given label may mean two classes. Votes count from ``since`` ``(n,)``, seconds since 1970.
    """

    key: Ints
    state: NDArray[np.str_]
    label: NDArray[np.str_]
    given_label: NDArray[np.str_]
    posterior: Floats
    worth: Floats
    passes: Ints
    since: Floats
    level: Ints
    given: Ints
    ensemble: Ints
    exempt: NDArray[np.bool_]
    opinion: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.key)

    def __getitem__(self, some: Any) -> Self:
        return type(self)(*(getattr(self, field.name)[some] for field in fields(self)))


@dataclass(frozen=True)
class Known(Facts):
    """What is known of glyphs before their votes: ``prior`` ``(n, K)`` takes in how each fared as a control."""

    prior: NDArray[np.float32]


def read_known(keys: Collection[int], reading: Reading) -> Known:
    """Return what is known of these glyphs. Those that no ensemble has scored have an even prior."""
    return before_votes(_facts(_GLYPHS(keys), _PRIORS(keys), reading.alphabet), reading)


def read_facts(heard: Ints) -> Facts:
    """Return what is stored of every training glyph whose label was not given, or that was heard of."""
    parts = [_facts([], [], alphabet())]
    # Asked for the split, SQLite would take the index that begins with it, and sort all glyphs for each block.
    for rows in _blocks(Glyph.objects.all(), _GLYPH):
        first, last = rows[0][0], rows[-1][0]
        some = set(heard[slice(*np.searchsorted(heard, [first, last + 1]))].tolist())
        wanted = [row for row in rows if row[1] == Split.TRAIN and (not row[4] or row[0] in some)]
        priors = raw(Prior.objects.filter(glyph__gte=first, glyph__lte=last).values_list(*_PRIOR))
        parts.append(_facts(wanted, priors, alphabet()))
    return Facts(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Facts)))


_GLYPH = ("pk", "split", "state", "label", "given", "passes", "posterior", "worth", "heard_from", "data_set__caseless")
_PRIOR = ("glyph", "ensemble", "probabilities")
_GLYPHS = Prepared(lambda keys: Glyph.objects.filter(pk__in=keys).order_by("pk").values_list(*_GLYPH))
_PRIORS = Prepared(lambda keys: Prior.objects.filter(glyph__in=keys).values_list(*_PRIOR))


def _facts(rows: Sequence[tuple[Any, ...]], priors: Sequence[tuple[Any, ...]], letters: Alphabet) -> Facts:
    columns = list(zip(*rows, strict=True)) or [()] * len(_GLYPH)
    key, _, state, label, given, passes, posterior, worth, heard_from, caseless = columns
    keys = np.array(key, np.int64)
    opinion, ensemble = _opinions(keys, priors, len(letters))
    pairs = list(zip(given, map(bool, caseless), strict=True))
    classes = {pair: _given_class(*pair, letters) for pair in set(pairs)}
    of = np.array([classes[pair] for pair in pairs], np.int64)
    labels = np.array(given, "<U1")
    return Facts(
        keys,
        np.array(state, "<U12"),
        np.array(label, "<U1"),
        labels,
        np.array(posterior, np.float64),
        np.array(worth, np.float64),
        np.array(passes, np.int64),
        _since(heard_from),
        levels(opinion, ensemble > 0),
        of,
        ensemble,
        (labels != "") & (of < 0),
        opinion,
    )


def _given_class(label: str, caseless: bool, letters: Alphabet) -> int:  # noqa: FBT001
    usable = usable_label(label, letters, caseless=caseless) if label else None
    return letters.classes.index(usable) if usable else -1


def _since(heard_from: Sequence[Any]) -> Floats:
    since = np.full(len(heard_from), -np.inf)
    some = [row for row, one in enumerate(heard_from) if one is not None]
    since[some] = seconds([heard_from[row] for row in some])
    return since


def _opinions(keys: Ints, stored: Sequence[tuple[Any, ...]], size: int) -> tuple[NDArray[np.float32], Ints]:
    opinion, ensemble = np.full((len(keys), size), 1 / size, np.float32), np.zeros(len(keys), np.int64)
    fitting = [row for row in stored if len(row[2]) == 2 * size] if len(keys) else []
    if not fitting:
        return opinion, ensemble
    of, whose, said = zip(*fitting, strict=True)
    at = np.searchsorted(keys, of).clip(max=len(keys) - 1)
    here = keys[at] == of
    shares = np.frombuffer(b"".join(said), np.float16).reshape(-1, size)[here]
    # What a 16-bit float rounds away is given back: no network is as sure as that.
    sure = np.maximum(shares.astype(np.float32), np.float32(1e-5))
    opinion[at[here]] = sure / sure.sum(1, keepdims=True)
    ensemble[at[here]] = np.array(whose, np.int64)[here]
    return opinion, ensemble


def before_votes(facts: Facts, reading: Reading) -> Known:
    """Return what is known of glyphs by the facts and by how often they were missed until now."""
    prior, held = facts.opinion.copy(), facts.given >= 0
    row, of, count = _misses(facts.key, reading.alphabet)
    if held.any():
        total = np.bincount(row, count, len(facts)).astype(np.int64)
        prior[held] = given_prior(facts.given[held], facts.passes[held], total[held], reading.affinity)
    for place, label, times in zip(row.tolist(), of.tolist(), count.tolist(), strict=True):
        if not held[place]:
            prior[place, label] *= doubt_of_control(int(facts.passes[place]), times)
    prior /= prior.sum(1, keepdims=True)
    # What a network thinks of a glyph says no more of it, and its voters are no echo, once a label was given.
    level = np.where(held, 0, facts.level)
    stored = {field.name: getattr(facts, field.name) for field in fields(Facts)}
    return Known(**stored | {"level": level}, prior=prior)


def _misses(keys: Ints, letters: Alphabet) -> tuple[Ints, Ints, Ints]:
    """Return how often glyphs were missed: the row of each in ``keys``, the class of the label that it had, how often.

    Only by sources that are honest by more than half, and who had all other controls right.
    """
    if not len(keys):
        return (np.zeros(0, np.int64),) * 3
    rows = _MISSES(keys.tolist()) if len(keys) < _FEW else raw(_missed_alone())
    index = {label: letters.index(label) for label in {row[1] for row in rows}}
    known = [(key, index[label], count) for key, label, count in rows if index[label] is not None]
    key, of, count = np.array(known, np.int64).reshape(-1, 3).T
    place = np.searchsorted(keys, key).clip(max=len(keys) - 1)
    here = keys[place] == key
    return place[here], of[here], count[here]


def _missed_alone() -> Any:
    """Select glyph, label and number of the misses that count."""
    alone = Miss.objects.filter(
        Q(glyph__heard_from=None) | Q(created__gte=F("glyph__heard_from")), alone=True, source__honesty__gt=HALF
    )
    return alone.values_list("glyph", "known").annotate(count=Count("pk")).order_by()


_MISSES = Prepared(lambda keys: _missed_alone().filter(glyph__in=keys))
_FEW = 1_000

HALF = 50
"""Percent of honesty above which a source has a say in whether a control is wrong."""
