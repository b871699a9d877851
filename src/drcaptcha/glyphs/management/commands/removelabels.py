"""Takes labels away."""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

import numpy as np
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from drcaptcha.errors import NotPossible
from drcaptcha.glyphs.unlabelling import remove_labels


class Command(BaseCommand):
    help = "Take the label from some training glyphs, so that visitors are asked for it. Their truth is kept apart."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("count", type=int, metavar="N", help="How many labels to remove.")
        parser.add_argument("--seed", type=int, help="Choose the same glyphs every time.")
        parser.add_argument("--json", action="store_true", help="Print one JSON value.")

    def handle(self, *_: Any, **options: Any) -> None:
        try:
            rng = np.random.default_rng(options["seed"])
            summary = remove_labels(options["count"], keep=settings.DRCAPTCHA_MIN_CONTROLS, now=timezone.now(), rng=rng)
        except (NotPossible, ValueError) as fault:
            raise CommandError(str(fault)) from fault
        if options["json"]:
            self.stdout.write(json.dumps(asdict(summary)))
        else:
            self.stdout.write(f"{summary.unlabelled:,} labels removed; {summary.controls:,} controls are left.")
