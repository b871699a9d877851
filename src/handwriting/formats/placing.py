"""Files that appear whole or not at all."""

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from handwriting.formats.errors import FormatError


@contextmanager
def placed(path: Path, *, folder: bool = False) -> Iterator[Path]:
    """Yield a name in the same folder, under which to write; at the end it takes the place of a file at ``path``.

    Broken off, nothing of it is left, and what was at ``path`` stays.

    Raises:
        FormatError: something is at ``path`` that must not be replaced: anything but a file, for a ``folder`` that too.
    """
    path = path.resolve()
    if path.exists() and (folder or not path.is_file()):
        raise FormatError(path, "is there already and will not be replaced", "Choose another name")
    partial = path.with_name(f".{secrets.token_hex(6)}.part")
    try:
        if folder:
            partial.mkdir()
        yield partial
        partial.replace(path)
    finally:
        if folder:
            shutil.rmtree(partial, ignore_errors=True)
        else:
            partial.unlink(missing_ok=True)
