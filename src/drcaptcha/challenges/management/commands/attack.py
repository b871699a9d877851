"""Let programs read captchas."""

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from PIL import Image, ImageDraw
from tqdm import tqdm

from drcaptcha.challenges.attacking import Trial, attack
from drcaptcha.challenges.management.commands.generatecaptchas import count
from drcaptcha.errors import DrCaptchaError
from handwriting.metrics import share
from handwriting.rendering import STYLES

FIGURES = (
    "pass_rate",
    "per_character",
    "nearest_neighbour_pass_rate",
    "nearest_neighbour_per_character",
    "told_pass_rate",
)


class Command(BaseCommand):
    help = (
        "Let the ensemble that serves, and a look-up of raw glyphs, read fresh captchas, and tell how many they pass."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--captchas", type=count, default=500, help="how many (default: %(default)s)")
        parser.add_argument(
            "--difficulty",
            choices=[*STYLES, "all"],
            default=settings.DRCAPTCHA_DIFFICULTY,
            help="how hard to read (default: DRCAPTCHA_DIFFICULTY)",
        )
        parser.add_argument("--seed", type=int, help="attack the same captchas again")
        parser.add_argument("--sheet", type=Path, help="draw the first ones, with what was typed, into this PNG")
        parser.add_argument("--json", action="store_true", help="print the figures as JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        chosen = list(STYLES) if options["difficulty"] == "all" else [options["difficulty"]]
        outcomes, shown = [], []
        for difficulty in chosen:
            number, rng = options["captchas"], np.random.default_rng(options["seed"])
            try:
                with tqdm(total=number, unit="captcha", desc=difficulty, disable=options["json"]) as bar:
                    made, trials = attack(number, difficulty, now=timezone.now(), rng=rng, progress=bar.update)
            except DrCaptchaError as error:
                raise CommandError(error.message) from error
            rate = share(round(made.pass_rate * number), number)
            outcomes.append(
                {name: round(getattr(made, name), 4) for name in FIGURES}
                | {"difficulty": difficulty, "captchas": number, "interval": [round(rate.low, 4), round(rate.high, 4)]}
            )
            shown += trials[:8]
        if options["sheet"]:
            _draw(shown, options["sheet"])
        if options["json"]:
            self.stdout.write(json.dumps(outcomes if options["difficulty"] == "all" else outcomes[0]))
            return
        for one in outcomes:
            low, high = one["interval"]
            self.stdout.write(
                f"{one['difficulty']}: the ensemble passes {one['pass_rate']:.1%} ({low:.1%} to {high:.1%}) and reads "
                f"{one['per_character']:.1%} of the controls; told where glyphs stand it passes "
                f"{one['told_pass_rate']:.1%}. Looking up raw glyphs passes {one['nearest_neighbour_pass_rate']:.1%}."
            )


def _draw(trials: list[Trial], file: Path) -> None:
    """Draw captchas in two columns, below each what is right and what the ensemble typed."""
    wide, high = 620, 150
    sheet = Image.new("RGB", (2 * wide, high * -(-len(trials) // 2)), "white")
    pen = ImageDraw.Draw(sheet)
    for place, trial in enumerate(trials):
        left, top = place % 2 * wide, place // 2 * high
        picture = Image.open(BytesIO(trial.picture))
        sheet.paste(picture.resize((picture.width * 110 // picture.height, 110)), (left + 10, top + 5))
        right = " ".join(slot.accepts[:1] or "·" for slot in trial.slots)
        pen.text(
            (left + 10, top + 120), f"{right}   |   {' '.join(trial.typed) or 'not cut'}", fill="black", font_size=18
        )
    sheet.save(file)
