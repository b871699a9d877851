"""What the worker does for challenges.

The web process loads this module to queue the work, so what simulates visitors is imported by the worker alone.
"""

import time
from dataclasses import asdict
from datetime import timedelta

import numpy as np
from django.conf import settings
from django.utils import timezone
from django_tasks import TaskResultStatus, task
from django_tasks_db.models import DBTaskResult

from drcaptcha.challenges import filling, forgetting
from drcaptcha.challenges.models import Simulation
from drcaptcha.learning.tasks import PACE, follow, note


@task()
def refill() -> int:
    """Bring the pool back to its level."""
    return filling.top_up(settings.DRCAPTCHA_POOL, now=timezone.now(), rng=np.random.default_rng())


@task()
def forget_daily() -> dict[str, int]:
    """Forget what is old, and again tomorrow."""
    keep_forgetting(after=timedelta(days=1))
    return asdict(forgetting.forget(now=timezone.now(), days=settings.DRCAPTCHA_RETENTION_DAYS))


def keep_forgetting(*, after: timedelta = timedelta()) -> None:
    """Have the worker forget what is old, unless it is going to anyway."""
    waiting = DBTaskResult.objects.filter(status=TaskResultStatus.READY, task_path=forget_daily.module_path)
    if not waiting.exists():
        forget_daily.using(run_after=timezone.now() + after).enqueue()


def queue_simulation(simulation: Simulation) -> Simulation:
    """Store a simulation and have the worker run it."""
    simulation.save()
    simulate.enqueue(simulation.pk)
    return simulation


@task()
def simulate(simulation: int) -> None:
    """Run a simulation on a copy and store what comes of it."""
    follow(Simulation.objects.get(pk=simulation), _simulate)


def _simulate(simulation: Simulation) -> str:
    from drcaptcha.challenges.rehearsing import Rehearsal, rehearse  # noqa: PLC0415 -- See above.
    from drcaptcha.challenges.simulating import Plan  # noqa: PLC0415

    noted = 0.0

    def tell(share: float) -> None:
        nonlocal noted
        if time.monotonic() - noted >= PACE:
            noted = time.monotonic()
            note(simulation, done=share, line=f"{share:.0%} of the glyphs are decided")

    note(simulation, line="copying glyphs")
    plan = Plan(simulation.crowd, simulation.seed, simulation.rule)
    trial = Rehearsal(plan, probes=simulation.probes, accept=simulation.accept, agreement=simulation.agreement)
    outcome = rehearse(trial, progress=tell)
    note(simulation, outcome=asdict(outcome))
    return f"{outcome.accepted:,} labels, {outcome.accuracy:.2%} right, {outcome.votes_per_label:.2f} votes each"
