"""Have the ensemble that serves score the glyphs without a label."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from drcaptcha.errors import DrCaptchaError
from drcaptcha.learning import opinions


class Command(BaseCommand):
    """``scoreglyphs``."""

    help = (
        "Store the opinion of the ensemble that serves of every glyph without a given label, as its prior. What it has "
        "scored is left out, so scoring that was interrupted goes on."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", dest="as_json", action="store_true", help="print the number as one JSON value")

    def handle(self, *, as_json: bool, **options: Any) -> None:
        try:
            scored = opinions.complete(now=timezone.now())
        except DrCaptchaError as fault:
            raise CommandError(fault.message) from fault
        self.stdout.write(json.dumps({"scored": scored}) if as_json else f"{scored:,} glyphs scored")
