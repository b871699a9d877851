"""Ballots: what answers tell the labelling. Each is stored with its answer, and counted soon after, many at once.

To weigh fifty glyphs takes little longer than to weigh one. So a process that has counted within the last ``PAUSE``
leaves what comes for then. Whoever counts strikes out the ballots in the same transaction: none is lost, whenever a
process ends, and none is counted twice. What an ended process has left is counted with the next answer.
"""

import json
import logging
from collections import Counter
from datetime import UTC, datetime
from threading import Lock, Timer
from time import monotonic
from typing import Any

from django.db import OperationalError, connection, transaction

from drcaptcha.challenges.models import Attempt
from drcaptcha.labelling import tasks, voting
from drcaptcha.labelling.log import seconds
from drcaptcha.labelling.models import Role
from drcaptcha.labelling.voting import Ballot
from drcaptcha.queries import Question
from drcaptcha.sites import counting

log = logging.getLogger(__name__)

PAUSE = 1.0
"""Seconds between two counts of one process."""

MOST = 100
"""So many ballots are counted in one transaction."""


def written(ballot: Ballot) -> str:
    """Return a ballot as it is stored with its answer, which knows the source, the captcha and the time."""
    return json.dumps([ballot.typed, ballot.roles, ballot.right, ballot.missed])


def count() -> int:
    """Count the ballots that wait, and return how many they were.

    Where one can't be counted, the others are, one by one; that one waits for the next start of the process.
    """
    total = some = _count_some()
    while some == MOST:
        total += (some := _count_some())
    return total


def _count_some() -> int:
    try:
        return _count_together()
    except OperationalError:  # The database is to blame, not a ballot.
        raise
    except Exception:
        log.exception("Ballots could not be counted together, so each is counted alone.")
    return sum(_count_alone(attempt) for attempt, *_ in _WAITING() if attempt not in _aside)


def _count_alone(attempt: int) -> int:
    try:
        return _count_together(attempt)
    except OperationalError:
        raise
    except Exception:
        log.exception("The ballot of attempt %d could not be counted. It waits for the next start.", attempt)
        _aside.add(attempt)
        return 0


_aside: set[int] = set()
"""Attempts whose ballots this process could not count."""


@transaction.atomic
def _count_together(only: int | None = None) -> int:
    rows = [row for row in _WAITING() if row[0] not in _aside and only in {None, row[0]}]
    if not rows:
        return 0
    ballots = {attempt: _read(*row) for attempt, _, *row in rows}
    gained = voting.record(list(ballots.values()), now=max(ballot.at for ballot in ballots.values()))
    labels: Counter[int] = Counter()
    for attempt, site, *_ in rows:
        mine = gained & ballots[attempt].typed.keys()
        gained -= mine  # A label is earned by one, whoever else has voted for it in the same moment.
        labels[site] += len(mine)
    with connection.cursor() as cursor:
        strike = "UPDATE challenges_attempt SET ballot = NULL WHERE id = %s"
        cursor.executemany(strike, [(attempt,) for attempt in ballots])
    for site in sorted(labels):
        if labels[site]:
            counting.count(site, max(ballot.at for ballot in ballots.values()), labels=labels[site])
    tasks.ask_for_estimate()
    return len(rows)


# Processes that count at once share what waits.
_WAITING = Question(
    lambda: (
        Attempt.objects.select_for_update(skip_locked=True)
        .filter(ballot__isnull=False)
        .order_by("pk")
        .values_list("pk", "site", "source", "captcha", "created", "ballot")[:MOST]
    )
)


def _read(source: int, captcha: int, created: Any, ballot: str) -> Ballot:
    typed, roles, right, missed = json.loads(ballot)
    return Ballot(
        source,
        captcha,
        datetime.fromtimestamp(seconds([created])[0], UTC),
        {int(glyph): one for glyph, one in typed.items()},
        {int(glyph): Role(role) for glyph, role in roles.items()},
        right,
        missed,
    )


class Soon:
    """Counts at once, or, where this process has done so within ``PAUSE``, when that is over."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._next = 0.0
        self._later: Timer | None = None

    def __call__(self) -> None:
        """See to it that what waits is counted. Where that fails it waits on: the answer stands."""
        with self._lock:
            wait = self._next - monotonic()
            if wait > 0:
                if not self._later:
                    self._later = Timer(wait, self._count_later)
                    self._later.start()
                return
            self._next = monotonic() + PAUSE
        self._count()

    def _count_later(self) -> None:
        with self._lock:
            self._later = None
            self._next = monotonic() + PAUSE
        try:
            self._count()
        finally:
            connection.close()

    def _count(self) -> None:
        try:
            count()
        except Exception:
            log.exception("Ballots could not be counted, and wait on.")


count_soon = Soon()
