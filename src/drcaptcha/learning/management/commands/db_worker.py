"""Does what is queued, as the command of the same name that it extends."""

import logging
import time

from django.db import InterfaceError, OperationalError, connection
from django.utils import timezone
from django_tasks_db.management.commands import db_worker

from drcaptcha.learning import tasks

log = logging.getLogger(__name__)

BREATH = 5.0
"""Seconds after which a database that did not answer, or was locked by others for long, is asked again."""


class Worker(db_worker.Worker):
    """Does what is queued. It first gives up what a worker before has left unfinished."""

    def run(self) -> None:
        """Work until told to stop, or until nothing is left where that was asked for; wait for the database."""
        while self.running:
            try:
                tasks.give_up_orphans(timezone.now())
                super().run()
            except (OperationalError, InterfaceError) as fault:
                log.warning(
                    "The database did not take what the worker wrote or asked (%s). It waits and goes on.", fault
                )
                connection.close()
                if self.running:
                    time.sleep(BREATH)
            else:
                return


setattr(db_worker, "Worker", Worker)  # noqa: B010 -- The command makes its worker by this name.


class Command(db_worker.Command):
    """``db_worker``."""

    help = "Do what is queued in the background; first give up what a worker before has left unfinished."
