"""Judge an ensemble anew."""

from datetime import datetime
from typing import Any

from drcaptcha.learning import scoring
from drcaptcha.learning.management.figures import EnsembleCommand
from drcaptcha.learning.models import Ensemble, Evaluation


class Command(EnsembleCommand):
    """``evaluateensemble ID``."""

    help = "Measure an ensemble on the test glyphs with its present weights, and store the result."

    def act(self, ensemble: Ensemble, *, now: datetime, **_: Any) -> Evaluation:
        return scoring.evaluate(ensemble, now=now)
