"""Write a network to a folder, to be used elsewhere."""

import json
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from drcaptcha.errors import DrCaptchaError
from drcaptcha.learning import cards
from drcaptcha.learning.models import Network


class Command(BaseCommand):
    """``exportnetwork ID FOLDER``."""

    help = "Write a network's ONNX files with a card: README.md for people, card.json for programs."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("id", type=int, help="number of the network")
        parser.add_argument("folder", type=Path, help="folder to write to: a new or an empty one")
        parser.add_argument("--json", dest="as_json", action="store_true", help="print the paths as one JSON value")

    def handle(self, *, id: int, folder: Path, as_json: bool, **options: Any) -> None:  # noqa: A002
        network = Network.objects.filter(pk=id).first()
        if network is None:
            there = ", ".join(f"{row.pk} ({row.architecture})" for row in Network.objects.order_by("pk"))
            raise CommandError(f"There is no network {id}. There are: {there or 'none yet; train makes one'}.")
        try:
            paths = [str(path) for path in cards.export(network, folder)]
        except DrCaptchaError as fault:
            raise CommandError(fault.message) from fault
        self.stdout.write(json.dumps({"network": network.pk, "files": paths}) if as_json else "\n".join(paths))
