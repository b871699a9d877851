"""Does what is queued, as the command of the same name that it extends."""

from typing import Any

from django.utils import timezone
from django_tasks_db.management.commands import db_worker

from drcaptcha.learning import tasks


class Command(db_worker.Command):
    """``db_worker``."""

    help = "Do what is queued in the background; first give up what a worker before has left unfinished."

    def handle(self, **options: Any) -> None:
        tasks.give_up_orphans(timezone.now())
        super().handle(**options)
