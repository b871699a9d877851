"""Estimates anew how people read and how honest each source is."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from tqdm import tqdm

from drcaptcha.labelling import estimating


class Command(BaseCommand):
    help = (
        "Estimate from the whole log of votes how people read and how honest each source is, and let every label "
        "follow. The worker does this by itself whenever the log has grown by half."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--json", action="store_true", dest="as_json", help="Print one JSON value.")

    def handle(self, *, as_json: bool, **options: Any) -> None:
        with tqdm(
            desc="Estimating", total=1.0, disable=options["verbosity"] == 0, bar_format="{l_bar}{bar}| {elapsed}"
        ) as bar:
            try:
                made = estimating.estimate(now=timezone.now(), progress=lambda share: bar.update(share - bar.n))
            except KeyboardInterrupt:
                raise CommandError("Stopped. Run it again, or relabel, for the rest.", returncode=130) from None
        figures = {
            "estimate": made.pk,
            "votes": made.votes,
            "sources": made.sources,
            "honesty": round(made.parameters["honesty"], 4),
            "ambiguity": round(made.parameters["ambiguity"], 4),
            "moved": made.moved,
            "seconds": round(made.seconds, 2),
        }
        self.stdout.write(
            json.dumps(figures)
            if as_json
            else f"{made.votes:,} votes of {made.sources:,} sources, of which {figures['honesty']:.1%} are honest; "
            f"{made.moved:,} glyphs moved. {made.seconds:.1f} s."
        )
