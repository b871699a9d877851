"""Counts that all server processes share: in Redis where it is configured, else in a file that each of them maps.

Django's cache would be in each process by itself without Redis, and ask Redis four times where once is enough.
The file is a table of fixed size, so however many sources come, it neither grows nor has to be swept.
"""

import fcntl
import mmap
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from hashlib import blake2b
from pathlib import Path
from threading import Lock
from typing import Any

from django.conf import settings

from drcaptcha import room
from drcaptcha.errors import NotReady

SLOT = struct.Struct("<QII")
"""One count: the hash of its key, how many, and until when in seconds since 1970."""

ROW = 8
"""So many slots may hold a key; when all are taken the smallest count gives way."""

SLOTS = struct.Struct("<" + ROW * SLOT.format.removeprefix("<"))

ROWS = 2**15
"""Together 2^18 counts in 4 MiB: enough for 50,000 visitors in two minutes."""

PATIENCE = 1
"""Seconds in which Redis has to answer. Every visitor waits for it, and few can wait at once."""


def add(key: str, now: float, seconds: int, *others: str) -> list[int]:
    """Add one to the count ``key``, which is kept for so many seconds; return how many it and the others are now.

    Raises:
        NotReady: Redis does not answer, or there is no room for the file.
    """
    if not settings.REDIS_URL:
        return _table(settings.DRCAPTCHA_TALLIES).add(key, int(now), seconds, *others)
    with _expected(), _redis(settings.REDIS_URL).pipeline(transaction=False) as trip:
        trip.incr(key).expire(key, seconds)
        count, _, *rest = (trip.mget(others) if others else trip).execute()
    return [count, *(int(one or 0) for one in rest[0])] if rest else [count]


def read(*keys: str, now: float) -> list[int]:
    """Return the counts, 0 where there is none.

    Raises:
        NotReady: Redis does not answer, or there is no room for the file.
    """
    if not settings.REDIS_URL:
        return _table(settings.DRCAPTCHA_TALLIES).read(keys, int(now))
    with _expected():
        return [int(one or 0) for one in _redis(settings.REDIS_URL).mget(keys)]


def reachable() -> bool:
    """Return whether the place where counts are kept answers."""
    try:
        read("drcaptcha", now=0)
    except NotReady:
        return False
    return True


class Table:
    """The table in a file. A process that is killed within a write spoils the one count at the most."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a+b")
        room.hold(self._file, SLOT.size * ROW * ROWS)
        self._slots = mmap.mmap(self._file.fileno(), SLOT.size * ROW * ROWS)
        self._threads = Lock()

    def add(self, key: str, now: int, seconds: int, *others: str) -> list[int]:
        """Add one to a count; return it and others."""
        tag, start = _place(key)
        with self._held():
            tags, counts, ends = self._row(start)
            if tag in tags and ends[place := tags.index(tag)] > now:
                count, until = min(counts[place] + 1, 2**32 - 1), ends[place]
            else:
                place = min(range(ROW), key=lambda one: counts[one] if ends[one] > now else -1)
                count, until = 1, now + seconds
            SLOT.pack_into(self._slots, start + place * SLOT.size, tag, count, until)
            return [count, *(self._count(other, now) for other in others)]

    def clear(self) -> None:
        """Forget all counts."""
        with self._held():
            self._slots[:] = bytes(len(self._slots))

    def read(self, keys: tuple[str, ...], now: int) -> list[int]:
        """Return counts."""
        with self._held():
            return [self._count(key, now) for key in keys]

    def _count(self, key: str, now: int) -> int:
        tag, start = _place(key)
        tags, counts, ends = self._row(start)
        return counts[place] if tag in tags and ends[place := tags.index(tag)] > now else 0

    def _row(self, start: int) -> tuple[tuple[int, ...], ...]:
        """Return the tags, the counts and the ends of a row's slots."""
        row = SLOTS.unpack_from(self._slots, start)
        return row[::3], row[1::3], row[2::3]

    @contextmanager
    def _held(self) -> Iterator[None]:
        """Keep other threads and processes away; the lock of a process that dies is let go by the system."""
        with self._threads:
            fcntl.flock(self._file, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(self._file, fcntl.LOCK_UN)


def _place(key: str) -> tuple[int, int]:
    tag = int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "little") or 1
    return tag, tag % ROWS * SLOTS.size


@cache
def _table(path: Path) -> Table:
    try:
        return Table(path)
    except OSError as error:
        raise NotReady("Counts are kept in a file, for which there is no room.") from error


@cache
def _redis(url: str) -> Any:
    from redis import ConnectionPool, Redis  # noqa: PLC0415 -- An extra, which is installed where it is configured.

    # Two threads may come here at once. A client with a pool of its own making would close it when it is let go.
    return Redis(connection_pool=ConnectionPool.from_url(url, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE))


@contextmanager
def _expected() -> Iterator[None]:
    """Say so when Redis does not answer."""
    from redis import RedisError  # noqa: PLC0415 -- As above.

    try:
        yield
    except RedisError as error:
        raise NotReady("Counts are kept in Redis, which does not answer.") from error
