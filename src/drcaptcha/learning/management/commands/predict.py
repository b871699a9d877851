"""Name the characters in picture files."""

import json
from argparse import ArgumentParser, ArgumentTypeError
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from drcaptcha.errors import DrCaptchaError
from drcaptcha.learning import predicting
from drcaptcha.learning.management.figures import find_ensemble
from drcaptcha.learning.models import Network


class Command(BaseCommand):
    """``predict letter.png scans/ --top 3``."""

    help = (
        "Name the character in each picture: drawings or scans, one character each. A file that can't be read gets an "
        "error instead of guesses; the exit code is 1 only where no file could be read."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "paths", type=Path, nargs="+", metavar="PATH", help="a picture, or a folder with pictures in it and below"
        )
        parser.add_argument("--top", type=_positive, default=3, help="guesses for each picture (default: %(default)s)")
        by = parser.add_mutually_exclusive_group()
        by.add_argument("--ensemble", type=int, help="number of an ensemble, instead of the one that serves")
        by.add_argument("--network", type=int, help="number of a network, which then decides alone")
        parser.add_argument("--json", dest="as_json", action="store_true", help="print one JSON value")

    def handle(
        self,
        *,
        paths: Sequence[Path],
        top: int,
        ensemble: int | None,
        network: int | None,
        as_json: bool,
        **options: Any,
    ) -> None:
        try:
            readings = list(predicting.read_files(paths, _recogniser(ensemble, network), top=top))
        except DrCaptchaError as fault:
            raise CommandError(fault.message) from fault
        self.stdout.write(_json(readings) if as_json else _table(readings))
        if not any(reading.guesses for reading in readings):
            raise CommandError("No picture could be read.")


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"{text} is not a number from 1 upward")
    return int(text)


def _recogniser(ensemble: int | None, network: int | None) -> predicting.Recogniser:
    if ensemble is not None:
        return predicting.by_ensemble(find_ensemble(ensemble))
    if network is not None:
        return predicting.by_network(_find_network(network))
    return predicting.serving()


def _find_network(key: int) -> Network:
    try:
        return Network.objects.get(pk=key)
    except Network.DoesNotExist as fault:
        there = ", ".join(f"{one.pk} ({one.architecture})" for one in Network.objects.order_by("pk"))
        raise CommandError(f"There is no network {key}. There are: {there or 'none yet; train makes one'}.") from fault


def _json(readings: Sequence[predicting.Reading]) -> str:
    return json.dumps(
        [
            {
                "file": reading.file,
                "guesses": [{"character": name, "probability": share} for name, share in reading.guesses],
            }
            | ({"error": reading.error} if reading.error else {})
            for reading in readings
        ]
    )


def _table(readings: Sequence[predicting.Reading]) -> str:
    width = max(len(reading.file) for reading in readings)
    return "\n".join(
        f"{reading.file:{width}}  "
        + (reading.error or "  ".join(f"{name} {share:6.1%}" for name, share in reading.guesses))
        for reading in readings
    )
