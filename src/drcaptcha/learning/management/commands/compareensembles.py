"""Compare two ensembles glyph by glyph."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from drcaptcha.errors import DrCaptchaError
from drcaptcha.learning import promoting
from drcaptcha.learning.management.figures import figures_of, find_ensemble, judgement_of


class Command(BaseCommand):
    """``compareensembles A B``."""

    help = "Compare the latest evaluations of two ensembles on the same test glyphs, with McNemar's exact test."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("one", type=int, help="number of an ensemble")
        parser.add_argument("other", type=int, help="number of another")
        parser.add_argument("--json", dest="as_json", action="store_true", help="print the figures as one JSON value")

    def handle(self, *, one: int, other: int, as_json: bool, **options: Any) -> None:
        judged = [judgement_of(find_ensemble(key)) for key in (one, other)]
        try:
            found = promoting.compare(*judged)
        except DrCaptchaError as fault:
            raise CommandError(fault.message) from fault
        duel = found.duel
        if as_json:
            sides = [{"ensemble": row.ensemble_id, **figures_of(row)} for row in judged]
            figures = {"only_one": duel.first, "only_other": duel.second, "p_value": duel.p_value}
            self.stdout.write(json.dumps({"one": sides[0], "other": sides[1], **figures}))
            return
        for row, alone in zip(judged, (duel.first, duel.second), strict=True):
            self.stdout.write(
                f"Ensemble {row.ensemble_id} ({row.ensemble}): {row}, {alone:,} that the other has wrong."
            )
        verdict = "They differ" if found.significant else "Chance alone may explain the difference"
        self.stdout.write(f"{verdict}: p = {duel.p_value:.3g} (McNemar's exact test).")
