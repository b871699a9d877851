"""Make an ensemble's weights add up to one."""

from datetime import datetime
from typing import Any

from drcaptcha.learning import scoring
from drcaptcha.learning.management.figures import EnsembleCommand
from drcaptcha.learning.models import Ensemble, Evaluation


class Command(EnsembleCommand):
    """``normalizeensembleweights ID``."""

    help = "Scale the weights of an ensemble so that they add up to 1, and evaluate it."

    def act(self, ensemble: Ensemble, *, now: datetime, **_: Any) -> Evaluation:
        return scoring.normalise(ensemble, now=now)
