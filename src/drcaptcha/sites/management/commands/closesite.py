"""Close a site, or open it again."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from drcaptcha.errors import DrCaptchaError
from drcaptcha.sites.models import Site
from drcaptcha.sites.registering import close, reopen


class Command(BaseCommand):
    """``closesite SITEKEY``."""

    help = "Refuse the keys of a site from now on; with --open, let them be good again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("sitekey", help="the site's public key")
        parser.add_argument("--open", dest="opens", action="store_true", help="open it again")

    def handle(self, *, sitekey: str, opens: bool, **options: Any) -> None:
        try:
            site = Site.of(sitekey)
            if opens:
                reopen(site)
            else:
                close(site, now=timezone.now())
        except DrCaptchaError as fault:
            raise CommandError(fault.message) from fault
        self.stdout.write(f"{site} is {'open' if opens else 'closed'}.")
