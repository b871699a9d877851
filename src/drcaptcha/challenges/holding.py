"""Captchas that this process has taken from the pool, to hand them out.

To take many takes hardly longer than to take one. So a busy process takes some at once, a quiet one what it needs.
"""

from collections import deque
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import cache
from threading import Lock

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, OuterRef

from drcaptcha.challenges.models import Attempt, Captcha
from drcaptcha.queries import Question, moment, update
from drcaptcha.turns import turn

MOST = 32
"""So many are taken at once."""

BUSY = timedelta(seconds=1)
"""A process that needs more within that time takes twice as many."""


def lifetime() -> timedelta:
    """Return how long a challenge can be answered."""
    return timedelta(seconds=settings.DRCAPTCHA_CHALLENGE_SECONDS)


def away_until(now: datetime) -> datetime:
    """Return until when a captcha that is taken now is not in the pool."""
    return now + 2 * lifetime()


class Held:
    """What one process holds. Its captchas are handed out within the lifetime of a challenge after they were taken.

    So each challenge has expired when its captcha is in the pool again.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self.clear()

    def clear(self) -> None:
        """Hold none; those that were held return to the pool in time."""
        self._held: deque[Captcha] = deque()
        self._taken: datetime | None = None
        self.many = 1
        """How many are taken at once now."""

    def add(self, captchas: Sequence[Captcha], now: datetime) -> None:
        """Hold captchas that were composed for who came at this time, and are not in the pool."""
        with self._lock:
            self._held.extend(captchas)
            self._taken = min(now, self._taken or now)

    def take(self, now: datetime) -> Captcha | None:
        """Return a captcha that no other visitor has, or None where the pool is empty."""
        with self._lock:
            since = now - self._taken if self._taken else lifetime()
            if since >= lifetime():  # It is less than nothing for who came before the last who took, and has waited.
                self._held.clear()
            if not self._held:
                self.many = min(2 * self.many, MOST) if abs(since) < BUSY else 1
                self._held.extend(_take(self.many, now))
                self._taken = now
            return self._held.popleft() if self._held else None


held = Held()


@turn()
@transaction.atomic
def _take(many: int, now: datetime) -> list[Captcha]:
    """Take the captchas from the pool that have waited longest, and that no other process is about to take.

    Their rows are held until the transaction ends; SQLite has one writer at a time, who begins with the transaction.
    """
    captchas = [
        Captcha.from_db(None, _HANDED_OUT, row) for row in _waiting(many)(settings.DRCAPTCHA_DIFFICULTY, moment(now))
    ]
    away = moment(away_until(now))
    update("UPDATE challenges_captcha SET available = %s WHERE id", [one.pk for one in captchas], away)
    return captchas


_HANDED_OUT = ("id", "picture", "media_type", "width", "height", "length")


@cache
def _waiting(many: int) -> Question:
    return Question(
        lambda difficulty, now: (
            Captcha.objects.select_for_update(skip_locked=True)
            .waiting(now, difficulty)
            .exclude(Exists(Attempt.objects.filter(captcha=OuterRef("pk"))))
            .order_by("available")
            .values_list(*_HANDED_OUT)[:many]
        )
    )
