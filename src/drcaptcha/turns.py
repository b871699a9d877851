"""Whose turn it is to write.

SQLite has one writer at a time, and who finds it busy sleeps and looks again, up to a tenth of a second later. What
visitors wait for is written in turns that all server processes share, and whose end is heard of at once. Other
programs take no turns and are waited for as ever. A database server knows better, so there are none.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from threading import Lock, RLock
from typing import IO

from django.conf import settings
from django.db import connection

_threads = Lock()
_thread = RLock()


@contextmanager
def alone() -> Iterator[None]:
    """Let one thread of this process at a time serve a visitor or count, where database and limits are on this machine.

    Its threads would only get in each other's way: Python runs one at a time, and each look at the database lets go of
    it. With a database server, or Redis, they wait for that, so all may go on; and one that hangs holds up none twice.
    """
    if connection.vendor != "sqlite" or settings.REDIS_URL:
        yield
        return
    with _thread:
        yield


@contextmanager
def turn() -> Iterator[None]:
    """Wait for the turn, and keep it for the block, which is short and takes no other."""
    if connection.vendor != "sqlite":
        yield
        return
    file = _file(settings.DRCAPTCHA_TURNS)
    with _threads:
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(file, fcntl.LOCK_UN)


LOG = 16_000
"""Pages in SQLite's log, 64 MB, from which it begins anew."""


def write_back() -> None:
    """Copy what was written from SQLite's log into its file, which else an answer would do in passing now and then.

    Writers go on meanwhile. For the last pages of a long log they wait, so that it can begin anew. Those are few, and
    all others have reached the disk before.
    """
    if connection.vendor == "sqlite" and _copy() > LOG:
        os.fsync(_file(Path(connection.settings_dict["NAME"])).fileno())
        with turn():
            _copy()


def _copy() -> int:
    """Return how many pages were in the log."""
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA wal_checkpoint(PASSIVE)")
        return int(cursor.fetchone()[1])


@cache
def _file(path: Path) -> IO[bytes]:
    """Open a file for good: to close SQLite's own would let go of the locks that this process has on it."""
    return path.open("ab")
