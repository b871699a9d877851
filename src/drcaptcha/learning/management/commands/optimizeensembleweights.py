"""Find the weights of an ensemble that suit the validation glyphs best."""

from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from drcaptcha.learning import scoring
from drcaptcha.learning.management.figures import EnsembleCommand
from drcaptcha.learning.models import Ensemble, Evaluation
from handwriting.ensembles import POOLINGS


class Command(EnsembleCommand):
    """``optimizeensembleweights ID``."""

    help = "Give the networks of an ensemble the weights with the least log-loss on the validation glyphs; evaluate it."

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--pooling",
            choices=("auto", *POOLINGS),
            default="auto",
            help="the weighted mean of probabilities or of their logarithms (default: whichever does better)",
        )

    def act(self, ensemble: Ensemble, *, now: datetime, **options: Any) -> Evaluation:
        return scoring.optimise(ensemble, pooling=options["pooling"], now=now)
