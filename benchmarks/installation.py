"""A throw-away installation for a benchmark to measure on."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def installation() -> Iterator[Path]:
    """Set Django up on an empty state folder (SQLite) that is removed at the end; yield the folder."""
    with tempfile.TemporaryDirectory(prefix="drcaptcha-benchmark-") as folder:
        os.environ |= {"DRCAPTCHA_STATE": folder, "DJANGO_SETTINGS_MODULE": "drcaptcha.settings", "DATABASE_URL": ""}
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0)
        yield Path(folder)
