"""Give a site a new secret."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from drcaptcha.errors import UnknownSite
from drcaptcha.sites.models import Site
from drcaptcha.sites.registering import OVERLAP, rotate


class Command(BaseCommand):
    """``rotatesecret SITEKEY``."""

    help = "Give a site a new secret and print it, this once. The old one holds for two more hours."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("sitekey", help="the site's public key")
        parser.add_argument(
            "--at-once", action="store_true", help="the old secret holds no longer; for one that strangers have seen"
        )
        parser.add_argument("--json", dest="as_json", action="store_true", help="print the keys as one JSON value")

    def handle(self, *, sitekey: str, at_once: bool, as_json: bool, **options: Any) -> None:
        try:
            site = Site.of(sitekey)
        except UnknownSite as error:
            raise CommandError(str(error)) from error
        now = timezone.now()
        secret = rotate(site, now=now, at_once=at_once)
        until = now if at_once else now + OVERLAP
        if as_json:
            keys = {"sitekey": site.sitekey, "secret": secret, "old_secret_until": until.isoformat()}
            self.stdout.write(json.dumps(keys))
            return
        old = "The old one holds no longer." if at_once else f"The old one holds until {until:%Y-%m-%d %H:%M} UTC."
        self.stdout.write(f"Secret: {secret}\nIt is shown this once. {old}")
