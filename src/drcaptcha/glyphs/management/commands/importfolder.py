"""Imports a folder of pictures."""

import json
from argparse import ArgumentParser
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from tqdm import tqdm

from drcaptcha.errors import NotPossible
from drcaptcha.glyphs.importing import import_folder
from drcaptcha.glyphs.models import Split
from handwriting.alphabet import ALPHABETS
from handwriting.formats.errors import FormatError


class Command(BaseCommand):
    help = "Import pictures of single characters, labelled by their folder (A, or its code 41) or not at all."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("path", type=Path, help="The folder; pictures in folders below it count too.")
        parser.add_argument("--name", help="What to call the data set. Default: the folder's name.")
        parser.add_argument("--split", choices=Split.values, default="train", help="What the pictures are for.")
        parser.add_argument("--json", action="store_true", help="Print one JSON value.")

    def handle(self, *_: Any, **options: Any) -> None:
        try:
            with tqdm(desc="Reading", unit=" pictures", disable=options["verbosity"] == 0) as bar:
                summary = import_folder(
                    options["path"],
                    name=options["name"],
                    split=Split(options["split"]),
                    alphabet=ALPHABETS[settings.DRCAPTCHA_ALPHABET],
                    now=timezone.now(),
                    rng=np.random.default_rng(),
                    progress=bar.update,
                )
        except (FormatError, NotPossible) as fault:
            raise CommandError(str(fault)) from fault
        except KeyboardInterrupt:
            raise CommandError("Stopped. Run it again; what is here already will be skipped.") from None
        if options["json"]:
            self.stdout.write(json.dumps(asdict(summary)))
        else:
            self.stdout.write(
                f"{summary.imported:,} glyphs of {summary.classes} classes imported, "
                f"{summary.skipped:,} were here before."
            )
