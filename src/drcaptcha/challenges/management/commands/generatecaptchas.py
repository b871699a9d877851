"""Fill the pool of captchas."""

import json
import time
from argparse import ArgumentParser, ArgumentTypeError
from typing import Any

import numpy as np
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from tqdm import tqdm

from drcaptcha.challenges import filling
from drcaptcha.errors import DrCaptchaError
from handwriting.rendering import STYLES


def count(value: str) -> int:
    """Parse how many captchas to make."""
    if not value.isdecimal() or int(value) < 1:
        raise ArgumentTypeError(f"{value!r} is not a number of captchas")
    return int(value)


class Command(BaseCommand):
    """``generatecaptchas N``."""

    help = "Add N captchas to the pool."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("n", type=count, help="how many")
        parser.add_argument("--seed", type=int, help="make the same captchas again from the same glyphs")
        parser.add_argument(
            "--difficulty", choices=list(STYLES), help="how hard to read (default: DRCAPTCHA_DIFFICULTY)"
        )
        parser.add_argument(
            "--harden", action="store_true", help="keep only those that the best ensemble fails to read"
        )
        parser.add_argument("--json", dest="as_json", action="store_true", help="print the figures as one JSON value")

    def handle(
        self, *, n: int, seed: int | None, difficulty: str | None, harden: bool, as_json: bool, **options: Any
    ) -> None:
        start = time.perf_counter()
        with tqdm(total=n, unit="captcha", desc="captchas", mininterval=0.5) as bar:
            try:
                thrown = filling.fill(
                    n,
                    now=timezone.now(),
                    rng=np.random.default_rng(seed),
                    progress=bar.update,
                    difficulty=difficulty,
                    harden=harden,
                )
            except (DrCaptchaError, ValueError) as error:
                raise CommandError(str(error)) from error
            except KeyboardInterrupt:
                raise CommandError("Stopped. The captchas made so far stay in the pool.", returncode=130) from None
        seconds = time.perf_counter() - start
        figures = {"generated": n, "thrown_away": thrown, "seconds": round(seconds, 3)}
        discarded = f" {thrown:,} that a program could read were thrown away." if harden else ""
        self.stdout.write(json.dumps(figures) if as_json else f"{n:,} captchas in {seconds:.1f} s.{discarded}")
