"""Moving labels, always with a reason."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

import numpy as np
from django.db import connections, transaction
from numpy.typing import NDArray

from drcaptcha.errors import NotPossible
from drcaptcha.glyphs.models import FRESH, Glyph, State
from drcaptcha.labelling.log import Ints, Known, alphabet
from drcaptcha.labelling.models import Decision
from drcaptcha.labelling.weighing import OURS, Weighed, weigh
from drcaptcha.queries import raw

CLOSE = 1e-4
"""By how much a stored probability may differ from the one computed without being written again."""


@transaction.atomic
def decide(glyphs: Collection[int], now: datetime, *, rule: str = OURS) -> int:
    """Let the labels and states of these glyphs follow what is known of them now; return how many moved.

    All votes of a glyph count, each time anew, so a label never outlives what made it, and the same log gives the same
    labels whenever it is asked.
    """
    lock(glyphs)
    return apply(weigh(glyphs, rule=rule), now)


def lock(glyphs: Collection[int]) -> bool:
    """Hold these rows, in one order: of two answers about one glyph the second sees the first one's vote.

    A database without locks of rows, as SQLite, has one writer at a time, who is in this transaction. Returns whether
    they may have changed since the transaction began.
    """
    shared: bool = connections[Glyph.objects.db].features.has_select_for_update
    if shared:
        list(Glyph.objects.select_for_update(no_key=True).filter(pk__in=glyphs).order_by("pk").values_list("pk"))
    return shared


def changed(weighed: Weighed) -> NDArray[np.bool_]:
    """Return ``(n,)``: which glyphs have another label or state than is stored."""
    known = weighed.known
    different: NDArray[np.bool_] = (weighed.state != known.state) | (weighed.label != known.label)
    return different


def apply(weighed: Weighed, now: datetime) -> int:
    """Write what has changed, with a decision for each move; return the number of moves.

    The rows are held by the caller, who has read them since.
    """
    moves = changed(weighed)
    note_drift(weighed, np.flatnonzero(drifted(weighed) & ~moves))
    rows = np.flatnonzero(moves)
    write_moves(weighed, rows, now)
    return len(rows)


def as_read(known: Known, rows: Ints) -> Ints:
    """Return those of these rows, which are held, whose label and state are still what was read."""
    held = Glyph.objects.filter(pk__in=known.key[rows].tolist())
    now = {key: tuple(stored) for key, *stored in raw(held.values_list("pk", "state", "label", "given"))}
    read = zip(*(column[rows].tolist() for column in (known.state, known.label, known.given_label)), strict=True)
    same = [now.get(key) == stored for key, stored in zip(known.key[rows].tolist(), read, strict=True)]
    still: Ints = rows[np.array(same, bool)]
    return still


def write_moves(weighed: Weighed, rows: Ints, now: datetime) -> None:
    """Write label and state of these rows, which are held, with a decision for each."""
    if not len(rows):
        return
    names = (weighed.label[rows].tolist(), weighed.state[rows].tolist())
    with connections[Glyph.objects.db].cursor() as cursor:
        cursor.executemany(
            "UPDATE glyphs_glyph SET label = %s, state = %s, posterior = %s, worth = %s WHERE id = %s",
            list(zip(*names, *_numbers(weighed, rows), strict=True)),
        )
        # Django's bulk_create takes five times as long.
        cursor.executemany(
            "INSERT INTO labelling_decision (glyph_id, before, before_state, after, after_state, posterior, votes, "
            "sources, prior, reason, created) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            _decisions(weighed, rows, now),
        )


def drifted(weighed: Weighed) -> NDArray[np.bool_]:
    """Return ``(n,)``: which glyphs have another probability or worth than is stored."""
    known = weighed.known
    same: NDArray[np.bool_] = np.isclose(weighed.posterior, known.posterior, rtol=0, atol=CLOSE, equal_nan=True)
    return ~(same & np.isclose(weighed.worth, known.worth, rtol=0, atol=CLOSE))


def note_drift(weighed: Weighed, rows: Ints) -> None:
    """Write the probabilities and worths of the glyphs in these rows."""
    if not len(rows):
        return
    with connections[Glyph.objects.db].cursor() as cursor:
        cursor.executemany(
            "UPDATE glyphs_glyph SET posterior = %s, worth = %s WHERE id = %s",
            list(zip(*_numbers(weighed, rows), strict=True)),
        )


def _numbers(weighed: Weighed, rows: Ints) -> tuple[list[float | None], list[float], list[int]]:
    """Return posterior, worth and key of these rows."""
    posterior = [None if np.isnan(one) else one for one in weighed.posterior[rows].tolist()]
    return posterior, weighed.worth[rows].tolist(), weighed.known.key[rows].tolist()


def _decisions(weighed: Weighed, rows: Ints, now: datetime) -> list[tuple[Any, ...]]:
    """Return these moves as ``write_moves`` stores them."""
    known, tally = weighed.known, weighed.tally
    held = known.given[rows] >= 0
    top = np.where(held, known.given[rows], weighed.beliefs.top[rows])
    foreseen = np.where((known.ensemble[rows] > 0) | held, known.prior[rows, top].astype(np.float64), np.nan).tolist()
    prior = [None if np.isnan(one) else one for one in foreseen]
    reasons = [_reason(weighed, *row) for row in zip(rows.tolist(), top.tolist(), prior, strict=True)]
    moment = connections[Glyph.objects.db].ops.adapt_datetimefield_value(now)
    columns = (
        known.key[rows],
        known.label[rows],
        known.state[rows],
        weighed.label[rows],
        weighed.state[rows],
        weighed.beliefs.clear[rows, top],
        tally.votes[rows],
        tally.support[rows],
    )
    return list(zip(*(column.tolist() for column in columns), prior, reasons, [moment] * len(rows), strict=True))


def _reason(weighed: Weighed, row: int, top: int, prior: float | None) -> str:
    beliefs, tally, name = weighed.beliefs, weighed.tally, alphabet().classes[top]
    votes, share = int(tally.votes[row]), _share(float(beliefs.clear[row, top]))
    said = f"{tally.support[row]} of {votes} votes for {name}, each from a source of its own"
    match weighed.state[row]:
        case State.UNREADABLE:
            chance = _share(float(beliefs.unreadable[row]))
            return f"can't be read with {chance}; {tally.unreadable[row]} of {votes} votes say so"
        case State.DISPUTED if weighed.known.given[row] >= 0:
            return f"the given label {name} has only {share} left, by those who failed it; votes in audits: {votes}"
        case State.DISPUTED:
            return f"{_both(weighed, row)}; {name} has {share} after {votes} votes"
        case _:
            before = "no opinion of a network" if prior is None else f"{_share(prior)} before any vote"
            return f"{name} with {share}; {said}; {before}"


def _both(weighed: Weighed, row: int) -> str:
    """Return which two characters a glyph may be at once, with the chance of it."""
    beliefs = weighed.beliefs
    pair = int(beliefs.pairs[row].argmax())
    places = sorted((int(beliefs.first[row, pair]), int(beliefs.second[row, pair])))
    first, second = (alphabet().classes[place] for place in places)
    return f"both {first} and {second} with {_share(float(beliefs.pairs[row, pair]))}"


def _share(chance: float) -> str:
    """Return a probability in percent. It is never 100: no posterior is."""
    return f"{min(chance, 0.9999):.2%}"


@transaction.atomic
def set_label(glyph: Glyph, label: str, *, reason: str, now: datetime) -> None:
    """Set a label by hand, which makes the glyph a control; an empty label takes it away and asks anew.

    Votes until ``now`` do not count any more: who looked at the glyph has overruled them.

    Raises:
        NotPossible: the label is not a character of the alphabet.
    """
    if label and alphabet().class_of(label) is None:
        raise NotPossible(f"{label!r} is not a character of the alphabet {alphabet().name}.")
    glyph = Glyph.objects.select_for_update(no_key=True).get(pk=glyph.pk)
    state = State.CONTROL if label else State.UNKNOWN
    if (glyph.label, glyph.given, glyph.state) == (label, label, state):
        return
    Decision.objects.create(
        glyph=glyph,
        before=glyph.label,
        after=label,
        before_state=glyph.state,
        after_state=state,
        reason=reason,
        created=now,
    )
    Glyph.objects.filter(pk=glyph.pk).update(
        label=label, given=label, state=state, posterior=None, worth=FRESH, passes=0, heard_from=now
    )


def note_removal(sender: object, *, labels: Mapping[int, str], now: datetime, **_: object) -> None:  # noqa: ARG001
    """Note that labels were taken away all at once."""
    Decision.objects.bulk_create(
        (
            Decision(
                glyph_id=key,
                before=label,
                before_state=State.CONTROL,
                after_state=State.UNKNOWN,
                reason="label taken away, to ask visitors for it",
                created=now,
            )
            for key, label in labels.items()
        ),
        batch_size=500,
    )
