"""Train networks into an ensemble."""

import sys
from argparse import ArgumentParser
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn, Self

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from tqdm import tqdm

from drcaptcha.errors import DrCaptchaError
from drcaptcha.learning.management.figures import report
from handwriting.networks import NAMES

if TYPE_CHECKING:
    from drcaptcha.learning.experiments import Step


FIELDS = ("epochs", "minutes", "steps", "batch_size", "balance", "subset", "seed", "name")
"""Options that a plan takes as they are."""

INTERRUPTED = 130
"""What a program returns that Ctrl-C has ended."""

STOPPED = "Stopped. The same command goes on: from the last whole epoch, or with the evaluation of what was finished."


class Command(BaseCommand):
    """``train --networks compact,slim --epochs 8``."""

    help = (
        "Train networks on the labelled glyphs and form an ensemble of them. Ctrl-C keeps those that are finished; the "
        "same command goes on, from the last whole epoch, with the labels that it began with."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--networks",
            default="compact",
            help=f"names between commas, of {', '.join(NAMES)} (default: %(default)s)",
        )
        length = parser.add_mutually_exclusive_group()
        length.add_argument(
            "--epochs", type=int, default=8, help="times that each glyph is seen (default: %(default)s)"
        )
        length.add_argument(
            "--minutes", type=float, help="train so long, all networks together; can't be repeated exactly"
        )
        length.add_argument("--steps", type=int, help="batches for each network; repeats a training by minutes")
        parser.add_argument("--batch-size", type=int, default=128, help="glyphs a step (default: %(default)s)")
        parser.add_argument(
            "--balance",
            type=float,
            help="how much to make up for classes that are unequal in number, 0 to 1 (default: as the network wants)",
        )
        parser.add_argument("--subset", type=int, help="train on so many glyphs, chosen at random")
        parser.add_argument("--seed", type=int, default=0, help="of all that is random (default: %(default)s)")
        parser.add_argument("--name", default="", help="name of the ensemble")
        parser.add_argument(
            "--anew", action="store_true", help="begin with the labels of today, also where the same was broken off"
        )
        parser.add_argument("--json", dest="as_json", action="store_true", help="print the figures as one JSON value")

    def handle(self, *, networks: str, anew: bool, as_json: bool, **options: Any) -> None:
        names = tuple(name.strip() for name in networks.split(",") if name.strip())
        chosen = {field: options[field] for field in FIELDS}
        try:
            # Loads PyTorch, which takes seconds that --help should not.
            from drcaptcha.learning import experiments  # noqa: PLC0415

            with Bars() as bars:
                plan = experiments.Plan(names, **chosen)
                ensemble = experiments.train(plan, now=timezone.now(), anew=anew, progress=bars.show)
        except DrCaptchaError as fault:
            raise CommandError(fault.message) from fault
        except KeyboardInterrupt as stop:
            raise CommandError(STOPPED, returncode=INTERRUPTED) from stop
        finished = ensemble.memberships.count()
        self.stdout.write(report(ensemble.evaluations.latest("created", "pk"), as_json=as_json))
        if finished < len(names):
            raise CommandError(
                f"Stopped: {finished} of {len(names)} networks were finished and kept. "
                "The same command goes on with the others.",
                returncode=INTERRUPTED,
            )


class Bars:
    """A progress bar for each epoch, on standard error."""

    def __init__(self) -> None:
        self._bar: tqdm[NoReturn] = tqdm(disable=True)
        self._title = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def show(self, step: "Step") -> None:
        """Move the bar to ``step``, or open the next one."""
        batch = step.batch
        title = step.line if batch is None else step.line.split(",")[0]
        if title != self._title:
            self._bar.close()
            self._title = title
            if batch is None:
                self._bar = tqdm(disable=True)
                tqdm.write(title, file=sys.stderr)
            else:
                self._bar = tqdm(total=batch.batches, desc=title, unit="batch", mininterval=0.5)
        if batch is not None:
            accuracy = f"{batch.finished[-1].validation_accuracy:.1%}" if batch.finished else "–"
            left = timedelta(seconds=round(batch.seconds_left))
            self._bar.set_postfix_str(
                f"loss {batch.loss:.3f}, validation {accuracy}, {batch.images_per_second:,.0f} glyphs/s, {left} left",
                refresh=False,
            )
            self._bar.update()
