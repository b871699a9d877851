"""What the worker does for labels."""

from django.core.cache import cache
from django.db import transaction
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


@task()
def relabel() -> int:
    """Compute all labels anew; return how many moved."""
    return estimating.relabel(now=timezone.now())


def follow_deletion(sender: object, **_: object) -> None:  # noqa: ARG001
    """Have labels follow when an ensemble is deleted, and its opinions with it."""
    transaction.on_commit(relabel.enqueue)


def ask_for_estimate() -> None:
    """Have the worker see whether an estimate is due, at most once in ``PAUSE``."""
    if cache.add("drcaptcha.reestimate", 1, PAUSE):
        reestimate.enqueue()
