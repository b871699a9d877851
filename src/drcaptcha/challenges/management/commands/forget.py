"""Delete what tells who came when."""

import json
from dataclasses import asdict
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from drcaptcha.challenges.forgetting import forget


class Command(BaseCommand):
    help = "Delete old attempts, and make nameless the sources of old votes. The worker does it every day."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--days",
            type=int,
            default=settings.DRCAPTCHA_RETENTION_DAYS,
            help="keep what is younger than so many days (default: DRCAPTCHA_RETENTION_DAYS, %(default)s)",
        )
        parser.add_argument("--dry-run", action="store_true", help="only tell how many rows it would be")
        parser.add_argument("--json", action="store_true", help="print the numbers as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            forgotten = forget(now=timezone.now(), days=options["days"], dry_run=options["dry_run"])
        except ValueError as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.stdout.write(json.dumps(asdict(forgotten)))
            return
        verb = "would be" if options["dry_run"] else "were"
        self.stdout.write(
            f"{forgotten.captchas:,} answered captchas with their attempts, {forgotten.sources:,} sources without "
            f"votes, {forgotten.sessions:,} ended sessions and {forgotten.tasks:,} finished tasks {verb} deleted; "
            f"{forgotten.nameless:,} sources {verb} made nameless."
        )
