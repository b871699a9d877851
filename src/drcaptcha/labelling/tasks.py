"""What the worker does for labels."""

from django.core.cache import cache
from django.utils import timezone
from django_tasks import task

from drcaptcha.labelling import estimating

PAUSE = 600
"""Seconds between two looks whether an estimate is due."""


@task()
def reestimate() -> int | None:
    """Make a new estimate where one is due; return its number."""
    if not estimating.is_due():
        return None
    return int(estimating.estimate(now=timezone.now()).pk)


def ask_for_estimate() -> None:
    """Have the worker see whether an estimate is due, at most once in ``PAUSE``."""
    if cache.add("drcaptcha.reestimate", 1, PAUSE):
        reestimate.enqueue()
