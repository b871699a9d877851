"""Computes all labels anew."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from tqdm import tqdm

from drcaptcha.labelling import estimating


class Command(BaseCommand):
    help = (
        "Compute honesty, labels and states anew from the log of votes and the newest estimate. They come out as they "
        "are, unless a threshold or the alphabet was changed or a run was broken off."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", dest="as_json", help="Print one JSON value.")

    def handle(self, *, as_json: bool, **options: Any) -> None:
        with tqdm(
            desc="Relabelling", total=1.0, disable=options["verbosity"] == 0, bar_format="{l_bar}{bar}| {elapsed}"
        ) as bar:
            try:
                moved = estimating.relabel(now=timezone.now(), progress=lambda share: bar.update(share - bar.n))
            except KeyboardInterrupt:
                raise CommandError("Stopped. Run it again for the rest.", returncode=130) from None
        self.stdout.write(json.dumps({"moved": moved}) if as_json else f"{moved:,} glyphs moved.")
