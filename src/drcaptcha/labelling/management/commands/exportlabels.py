"""Exports labels."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from tqdm import tqdm

from drcaptcha.errors import NotPossible
from drcaptcha.glyphs.models import State
from drcaptcha.labelling.exporting import WRITERS, Selection, export_labels
from handwriting.formats.errors import FormatError


class Command(BaseCommand):
    help = (
        "Write one row a glyph: its label and state, how sure they are, and the votes behind them. With --format idx "
        "the pictures go along, and importemnist brings them in again."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "file", type=Path, help="Where to write. Of idx: a zip if its name ends in .zip, else a folder."
        )
        parser.add_argument("--format", choices=WRITERS, required=True, help="What to write.")
        parser.add_argument(
            "--states",
            type=lambda text: text.split(","),
            default=[],
            help=f"Only glyphs in these states, between commas: {', '.join(State.values)}. Default: all.",
        )
        parser.add_argument("--data-set", metavar="NAME", help="Only glyphs of this data set. Default: all.")
        parser.add_argument("--json", action="store_true", dest="as_json", help="Print one JSON value.")

    def handle(self, *, file: Path, as_json: bool, **options: Any) -> None:
        selection = Selection(options["states"], options["data_set"])
        with tqdm(
            desc="Exporting", total=1.0, disable=options["verbosity"] == 0, bar_format="{l_bar}{bar}| {elapsed}"
        ) as bar:
            try:
                count = export_labels(
                    file, options["format"], selection, progress=lambda share: bar.update(share - bar.n)
                )
            except (FormatError, NotPossible) as fault:
                raise CommandError(str(fault)) from fault
            except KeyboardInterrupt:
                raise CommandError("Stopped. Nothing was written.", returncode=130) from None
        figures = {"exported": count, "file": str(file)}
        self.stdout.write(json.dumps(figures) if as_json else f"{count:,} glyphs exported to {file}.")
