"""Room on the disk for files that processes map.

A file may be larger than what the disk holds of it. Who maps such a file and writes to it when the disk is full is
killed by the system. So its room is taken beforehand.
"""

import os
from typing import IO


def hold(file: IO[bytes], size: int) -> None:
    """Make a file at least so many bytes long, all of which the disk holds; what was written stays.

    Raises:
        OSError: there is no room.
    """
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, size)
    elif os.fstat(file.fileno()).st_size < size:
        file.truncate(size)
