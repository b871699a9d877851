"""Files that a process holds for as long as it lives. The system lets go of them when it ends, however it ends."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def hold(path: Path, *, wait: bool = False) -> Iterator[bool]:
    """Hold ``path`` for the time of the block, and yield whether it is held; where it is not free, ``wait`` or don't.

    The file is made where it is not there, and removed in the end.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    while True:
        with path.open("ab") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
                return
            if not _is_at(file.fileno(), path):
                continue  # Whoever held it before has removed it meanwhile.
            try:
                yield True
            finally:
                path.unlink(missing_ok=True)
            return


def is_held(path: Path) -> bool | None:
    """Tell whether a process of this machine holds ``path``; None where the file is not there."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return None
    except BlockingIOError:
        return True
    return False


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except FileNotFoundError:
        return False
