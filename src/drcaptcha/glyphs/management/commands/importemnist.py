"""Imports a split of EMNIST, or what exportlabels has written."""

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
from drcaptcha.glyphs.downloading import EMNIST_MD5, EMNIST_URL, download
from drcaptcha.glyphs.importing import ImportSummary, import_emnist
from handwriting.formats.emnist import SPLITS, open_files
from handwriting.formats.errors import FormatError


class Command(BaseCommand):
    help = (
        "Import a split of EMNIST, or what exportlabels --format idx has written. Pictures that are here already are "
        "skipped, so it can be run again at any time."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "path",
            nargs="?",
            type=Path,
            help="Folder, zip, .mat or IDX file. Default: DRCAPTCHA_EMNIST, else the official archive is downloaded.",
        )
        parser.add_argument("--split", choices=SPLITS, help="Default: what the file says, else balanced.")
        parser.add_argument("--url", help=f"Download from here. Official: {EMNIST_URL}")
        parser.add_argument("--md5", default=EMNIST_MD5, help="Its checksum. Default: the official archive's.")
        parser.add_argument("--json", action="store_true", help="Print one JSON value.")

    def handle(self, *_: Any, **options: Any) -> None:
        quiet = options["verbosity"] == 0
        try:
            summary = self._import(self._path(options, quiet=quiet), options["split"], quiet=quiet)
        except (FormatError, NotPossible) as fault:
            raise CommandError(str(fault)) from fault
        except KeyboardInterrupt:
            raise CommandError("Stopped. What has come so far stays; run it again for the rest.") from None
        if options["json"]:
            self.stdout.write(json.dumps(asdict(summary)))
        else:
            self.stdout.write(
                f"{summary.imported:,} glyphs imported ({summary.train:,} to train, {summary.test:,} to test), "
                f"{summary.skipped:,} were here before."
            )

    def _path(self, options: dict[str, Any], *, quiet: bool) -> Path:
        if options["path"]:
            return Path(options["path"])
        if settings.DRCAPTCHA_EMNIST and not options["url"]:
            return Path(settings.DRCAPTCHA_EMNIST)
        target = settings.STATE / "cache" / f"emnist-{options['md5']}.zip"
        with tqdm(desc="Downloading", unit="B", unit_scale=True, disable=quiet) as bar:

            def progress(here: int, total: int | None) -> None:
                bar.total = total
                bar.update(here - bar.n)

            return download(options["url"] or EMNIST_URL, target, options["md5"], progress=progress)

    def _import(self, path: Path, split: str | None, *, quiet: bool) -> ImportSummary:
        source = open_files(path, split)
        with tqdm(desc="Importing", total=sum(source.sizes.values()), unit=" glyphs", disable=quiet) as bar:
            return import_emnist(source, now=timezone.now(), rng=np.random.default_rng(), progress=bar.update)
