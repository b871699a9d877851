"""Ballots: what answers tell. Each is stored with its answer, and counted soon after, many at once.

They tell the labelling what was typed, the site whether its visitor passed, and the pool which captcha is used up.
To weigh fifty glyphs takes little longer than to weigh one, so a process leaves what comes for ``PAUSE``. Whoever
counts strikes out the ballots in the same transaction: none is lost, whenever a process ends, and none is counted
twice. What an ended process has left is counted with the next visitor.
"""

import json
import logging
from collections import Counter, defaultdict
from collections.abc import Mapping
from datetime import UTC, date, datetime
from threading import Lock, Thread
from time import monotonic, sleep
from typing import Any

from django.db import InterfaceError, InternalError, OperationalError, connection, transaction

from drcaptcha.challenges.models import NEVER, Attempt
from drcaptcha.labelling import tasks, voting
from drcaptcha.labelling.log import seconds
from drcaptcha.labelling.models import Role
from drcaptcha.labelling.sources import stored
from drcaptcha.labelling.voting import Ballot
from drcaptcha.queries import Question, Rows, moment, raw, update
from drcaptcha.sites import counting
from drcaptcha.turns import alone, turn, write_back

log = logging.getLogger(__name__)

PAUSE = 0.1
"""Seconds after which a process counts; where it is 0, it counts with each answer."""

MOST = 30
"""So many ballots are counted in one transaction."""

DATABASE = (OperationalError, InternalError, InterfaceError)
"""Errors for which the database is to blame, not a ballot."""

BREATH = 0.002
"""Seconds between two such transactions, so that visitors get their turn."""


def written(ballot: Ballot, source: str) -> str:
    """Return a ballot as it is stored with its answer, which knows the captcha and the time; ``source`` is a key."""
    return json.dumps([source, ballot.typed, ballot.roles, ballot.right, ballot.missed])


def count() -> int:
    """Count the ballots that wait, and return how many they were. What was noted of challenges is written down as well.

    Where one can't be counted, the others are, one by one; that one waits for the next start of the process.
    """
    counting.write_down()
    total = some = _count_some()
    while some == MOST:
        sleep(BREATH)
        total += (some := _count_some())
    if total:
        tasks.ask_for_estimate()
    return total


def _count_some() -> int:
    try:
        return _count_together()
    except DATABASE:
        raise
    except Exception:
        log.exception("Ballots could not be counted together, so each is counted alone.")
    with transaction.atomic():
        waiting = [attempt for attempt, *_ in _waiting()]
    return sum(_count_alone(attempt) for attempt in waiting)


def _count_alone(attempt: int) -> int:
    try:
        return _count_together(attempt)
    except DATABASE:
        raise
    except Exception:
        log.exception("The ballot of attempt %d could not be counted. It waits for the next start.", attempt)
        _aside.add(attempt)
        return 0


_aside: set[int] = set()
"""Attempts whose ballots this process could not count."""


@alone()
@turn()
@transaction.atomic
def _count_together(only: int | None = None) -> int:
    rows = _waiting(only)
    if not rows:
        return 0
    told = {attempt: json.loads(ballot) for attempt, *_, ballot in rows}
    times = {attempt: datetime.fromtimestamp(seconds([created])[0], UTC) for attempt, _, _, created, *_ in rows}
    now = max(times.values())
    sources = stored({told[attempt][0]: site for attempt, site, *_ in rows}, now)
    ballots = {
        attempt: _read(told[attempt], sources=sources, captcha=captcha, at=times[attempt])
        for attempt, _, captcha, *_ in rows
    }
    gained = voting.record([ballot for ballot in ballots.values() if ballot.right or ballot.missed], now=now)
    events: dict[tuple[int, date], Counter[str]] = defaultdict(Counter)
    for attempt, site, _, _, passed, _ in rows:
        mine = gained & ballots[attempt].typed.keys()
        gained -= mine  # A label is earned by one, whoever else has voted for it in the same moment.
        here = events[site, counting.day_of(times[attempt])]
        here.update({"passed" if passed else "failed": 1, "labels": len(mine)})
    update("UPDATE challenges_attempt SET ballot = NULL WHERE id", list(ballots))
    answered = [one.captcha for one in ballots.values()]
    update("UPDATE challenges_captcha SET available = %s WHERE id", answered, moment(NEVER))
    for (site, day), happened in sorted(events.items()):
        counting.count(site, day, **happened)
    return len(rows)


def _waiting(only: int | None = None) -> Rows:
    """Return some of the attempts whose ballots wait, or the one that is wanted. Processes that count at once share."""
    if only is not None:
        return raw(_uncounted().filter(pk=only))
    return raw(_uncounted().exclude(pk__in=_aside)[:MOST]) if _aside else _UNCOUNTED()


def _uncounted() -> Any:
    return (
        Attempt.objects.select_for_update(skip_locked=True)
        .filter(ballot__isnull=False)
        .order_by("pk")
        .values_list("pk", "site", "captcha", "created", "passed", "ballot")
    )


_UNCOUNTED = Question(lambda: _uncounted()[:MOST])


def _read(told: list[Any], *, sources: Mapping[str, int], captcha: int, at: datetime) -> Ballot:
    source, typed, roles, right, missed = told
    return Ballot(
        sources[source],
        captcha,
        at,
        {int(glyph): one for glyph, one in typed.items()},
        {int(glyph): Role(role) for glyph, role in roles.items()},
        right,
        missed,
    )


class Soon:
    """Counts in a thread of its own, so that no visitor waits for it, every ``PAUSE`` as long as there is something."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._asked = self._runs = False
        self._wrote = 0.0

    def __call__(self) -> None:
        """See to it that what waits is counted. Where that fails it waits on: the answer stands."""
        if not PAUSE:
            self._count()
            return
        with self._lock:
            self._asked = True
            if not self._runs:
                self._runs = True
                try:
                    Thread(target=self._run, name="ballots").start()
                except RuntimeError:  # There are too many, or the process is about to end: others count what waits.
                    self._runs = False

    def _run(self) -> None:
        try:
            while self._goes_on():
                self._count()
        finally:
            connection.close()

    def _goes_on(self) -> bool:
        sleep(PAUSE)
        with self._lock:
            self._runs, self._asked = self._asked, False
            return self._runs

    def _count(self) -> None:
        try:
            count()
            if monotonic() - self._wrote > 1:
                write_back()
                self._wrote = monotonic()
        except Exception:
            log.exception("Ballots could not be counted, and wait on.")


count_soon = Soon()
