"""Register a site."""

import json
from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from drcaptcha.errors import DrCaptchaError
from drcaptcha.sites.registering import register


def quota(value: str) -> int:
    """Parse how many challenges a site may have a day."""
    if not value.isdecimal() or int(value) >= 2**31:
        raise ArgumentTypeError(f"{value!r} is not a number of challenges")
    return int(value)


class Command(BaseCommand):
    """``createsite NAME --host HOST``."""

    help = "Register a site whose forms are to be protected, and print its site key and its secret, this once."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="what it is called in the administration")
        parser.add_argument(
            "--host",
            dest="hosts",
            action="append",
            required=True,
            help="where its forms are, such as www.example.org; .example.org for all below it; can be given repeatedly",
        )
        parser.add_argument("--quota", type=quota, default=0, help="challenges a day; 0 for as many as are asked for")
        parser.add_argument("--owner", help="the name of the user who looks after it in the administration")
        parser.add_argument("--json", dest="as_json", action="store_true", help="print the keys as one JSON value")

    def handle(
        self, *, name: str, hosts: list[str], quota: int, owner: str | None, as_json: bool, **options: Any
    ) -> None:
        user = User.objects.filter(username=owner).first() if owner else None
        if owner and user is None:
            raise CommandError(f"There is no user {owner!r}.")
        try:
            site, secret = register(name, hosts, quota=quota, owner=user, now=timezone.now())
        except DrCaptchaError as error:
            raise CommandError(str(error)) from error
        if as_json:
            self.stdout.write(json.dumps({"sitekey": site.sitekey, "secret": secret}))
            return
        self.stdout.write(
            f"Site key: {site.sitekey}\nSecret:   {secret}"
            "\nThe site key goes into the page. The secret stays on the site's server; it is shown this once."
        )
