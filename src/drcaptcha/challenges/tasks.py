"""What the worker does for challenges."""

import numpy as np
from django.conf import settings
from django.utils import timezone
from django_tasks import task

from drcaptcha.challenges import filling


@task()
def refill() -> int:
    """Bring the pool back to its level."""
    return filling.top_up(settings.DRCAPTCHA_POOL, now=timezone.now(), rng=np.random.default_rng())
