"""Brings an installation to where it can serve: every step that has not been done yet, and no other."""

import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand
from django.db import transaction
from django.utils import timezone

from drcaptcha import observing
from drcaptcha.challenges import tasks as challenge_tasks
from drcaptcha.challenges.models import Captcha
from drcaptcha.glyphs.models import DataSet, Glyph
from drcaptcha.learning import retraining, tasks
from drcaptcha.learning.models import Ensemble, Network
from drcaptcha.sites import owners
from handwriting.formats import starter

STARTER = "starter"
UNLABELLED = 4000
"""How many labels of the starter set are taken away, so that there is something to ask about."""

TRAINING: dict[str, Any] = {"networks": "compact,slim", "epochs": 8}
"""Two quick networks: a minute or two on two cores."""


POOL = 1000
"""How many captchas wait for the first visitors."""


def _broken_off() -> bool:
    """Tell whether the first training was stopped after some of its networks."""
    wanted = len(TRAINING["networks"].split(","))
    return Network.objects.count() < wanted and any(settings.DRCAPTCHA_CHECKPOINTS.glob("*/networks.json"))


class Command(BaseCommand):
    help = "Prepare the database, static files, starter set, networks, captchas and administrator, where missing."

    def handle(self, *args: Any, **options: Any) -> None:
        call_command("migrate", interactive=False, verbosity=0)
        call_command("collectstatic", interactive=False, verbosity=0)
        if not Glyph.objects.exists():
            with self._step("Loading the starter set"), transaction.atomic():
                call_command("importemnist", starter.FOLDER, split="starter")
                call_command("removelabels", UNLABELLED)
        if (not Ensemble.objects.exists() or _broken_off()) and DataSet.objects.filter(name=STARTER).exists():
            with self._step("Training two quick networks"):
                call_command("train", **TRAINING)
        if not Captcha.objects.exists():
            with self._step("Filling the pool of captchas"):
                call_command("generatecaptchas", POOL)
        tasks.give_up_orphans(timezone.now())
        retraining.keep_watch()
        challenge_tasks.keep_forgetting()
        observing.forget_processes()
        owners.ensure_group()
        self._make_administrator()
        port = os.environ.get("PORT", "8000")
        self.stdout.write(
            f"\nDrCaptcha is starting. Are you human?   http://127.0.0.1:{port}/test-captcha"
            f"\n                       Administration:  http://127.0.0.1:{port}/admin/\n"
        )

    @contextmanager
    def _step(self, title: str) -> Iterator[None]:
        self.stdout.write(f"\n{title} …")
        start = time.perf_counter()
        yield
        self.stdout.write(f"{title}: {time.perf_counter() - start:.1f} s")

    def _make_administrator(self) -> None:
        users = get_user_model().objects
        if users.filter(is_superuser=True).exists():
            return
        password = secrets.token_urlsafe(12)
        users.create_superuser("admin", password=password)
        self.stdout.write(
            f"\nAdministrator: admin\nPassword:      {password}"
            "\n(It is shown this once; `manage.py changepassword admin` sets another.)"
        )
