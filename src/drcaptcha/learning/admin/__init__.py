"""Networks, ensembles, evaluations, promotions and runs in the administration."""

from drcaptcha.learning.admin import ensembles, evaluations, networks, runs

__all__ = ["ensembles", "evaluations", "networks", "runs"]
