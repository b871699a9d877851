"""Make an ensemble's weights add up to one."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from drcaptcha.errors import DrCaptchaError
from drcaptcha.learning import scoring
from drcaptcha.learning.management.figures import find_ensemble, report


class Command(BaseCommand):
    """``normalizeensembleweights ID``."""

    help = "Scale the weights of an ensemble so that they add up to 1, and evaluate it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("id", type=int, help="number of the ensemble")
        parser.add_argument("--json", dest="as_json", action="store_true", help="print the figures as one JSON value")

    def handle(self, *, id: int, as_json: bool, **options: Any) -> None:  # noqa: A002
        ensemble = find_ensemble(id)
        try:
            scoring.normalise(ensemble, now=timezone.now())
        except DrCaptchaError as fault:
            raise CommandError(fault.message) from fault
        self.stdout.write(report(ensemble, as_json=as_json))
