"""Say which ensemble serves."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from drcaptcha.errors import DrCaptchaError
from drcaptcha.learning import opinions, promoting
from drcaptcha.learning.management.figures import find_ensemble, judgement_of


class Command(BaseCommand):
    """``promoteensemble ID``, or ``promoteensemble --former``."""

    help = (
        "Let an ensemble serve as it was last judged, or let the former one serve again; score the unlabelled glyphs, "
        "which scoreglyphs does again where it was interrupted."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        which = parser.add_mutually_exclusive_group(required=True)
        which.add_argument("id", type=int, nargs="?", help="number of the ensemble")
        which.add_argument("--former", action="store_true", help="go back to the one that served before")
        parser.add_argument("--reason", default="", help="kept with the promotion")
        parser.add_argument("--json", dest="as_json", action="store_true", help="print what came of it as JSON")

    def handle(self, *, former: bool, reason: str, as_json: bool, **options: Any) -> None:
        now = timezone.now()
        try:
            if former:
                promotion = promoting.roll_back(reason=reason, by="command line", now=now)
            else:
                judged = judgement_of(find_ensemble(options["id"]))
                reason = reason or "chosen on the command line"
                promotion = promoting.promote(judged, reason=reason, by="command line", now=now)
            assert promotion.evaluation is not None  # noqa: S101 - It was made a moment ago.
            scored = opinions.complete(now=now)
        except DrCaptchaError as fault:
            raise CommandError(fault.message) from fault
        ensemble = promotion.evaluation.ensemble_id
        if as_json:
            self.stdout.write(json.dumps({"ensemble": ensemble, "promotion": promotion.pk, "scored": scored}))
        else:
            self.stdout.write(f"Ensemble {ensemble} ({promotion.name}) serves. It has scored {scored:,} glyphs.")
