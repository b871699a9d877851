"""Training and evaluation in the background, each followed in a row of ``Run``.

The web process loads this module to queue the work, so what needs PyTorch is imported by the worker alone, inside
the task that uses it.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeVar

from django.conf import settings
from django.db import DatabaseError, OperationalError, connection
from django.utils import timezone
from django_tasks import task

from drcaptcha.errors import DrCaptchaError, NotPossible
from drcaptcha.learning import locks, opinions, registry, scoring
from drcaptcha.learning.models import Ensemble, Evaluation, Promotion, Run, Work

PACE = 1.0
"""Least seconds between two notes of progress: a batch takes far less, and each note is a write."""

BEAT = 30.0
"""Seconds between two signs of life of a run, which are given also where the work itself has nothing to tell."""

SILENCE = timedelta(minutes=10)
"""After so long without a sign of life nobody is working on a run any more, if it was another machine's."""

STOPPED = "The server was stopped before the run ended. Start it again."

_log = logging.getLogger(__name__)

Piece = TypeVar("Piece", bound=Work)


def queue_training(options: dict[str, object]) -> Run:
    """Queue a training with the fields of ``experiments.Plan``, those that are given; return the row to watch.

    With ``anew`` among them it begins with the labels of its time, also where the same was broken off.
    """
    return _queue(Run(kind="training", options=options))


def queue_evaluation(ensemble: Ensemble) -> Run:
    """Queue an evaluation of ``ensemble`` with the weights that it has when its turn comes."""
    return _queue(Run(kind="evaluation", ensemble=ensemble))


def queue_optimisation(ensemble: Ensemble, pooling: str = "auto") -> Run:
    """Queue a search for the weights of ``ensemble`` that suit the validation glyphs best, and its evaluation."""
    return _queue(Run(kind="optimisation", ensemble=ensemble, options={"pooling": pooling}))


def queue_opinions(promotion: Promotion) -> Run:
    """Queue the scoring of the glyphs without a given label by an ensemble that serves; what it has scored is kept."""
    judged = promotion.evaluation
    ensemble = None if judged is None else judged.ensemble
    return _queue(Run(kind="opinions", ensemble=ensemble, options={"evaluation": promotion.evaluation_id}))


def queue_again(run: Run) -> Run:
    """Queue anew what ``run`` was to do, which goes on from where it was broken off; return the row to watch.

    Raises:
        NotPossible: an ensemble is to score glyphs, and none serves.
    """
    if run.kind != "opinions":
        options = {key: value for key, value in run.options.items() if key != "anew"}
        return _queue(Run(kind=run.kind, ensemble=run.ensemble, options=options))
    holder = registry.promotions().first()
    if holder is None:
        raise NotPossible("No ensemble serves, so none can score glyphs. Train one, or let one serve.")
    return queue_opinions(holder)


def _queue(run: Run) -> Run:
    run.save()
    tasks = {"training": train, "evaluation": evaluate, "optimisation": optimise, "opinions": form_opinions}
    tasks[run.kind].enqueue(run.pk)
    return run


def give_up_orphans(now: datetime) -> int:
    """Mark the work of every kind that nobody does any more as failed, and return how much: its worker is gone.

    A worker holds a file while it works on a row, so on its own machine its end is known at once, and what is alive is
    never given up. Of another machine's workers only their silence tells.
    """
    return sum(_give_up(kind, now) for kind in Work.__subclasses__())


def _give_up(kind: type[Work], now: datetime) -> int:
    rows = kind._default_manager  # noqa: SLF001 - Django documents it.
    running = rows.filter(state=Work.State.RUNNING).values_list("pk", "updated")
    orphans = [key for key, updated in running if _is_orphan(_lock_of(kind, key), updated, now)]
    if not orphans:
        return 0
    for key in orphans:
        _lock_of(kind, key).unlink(missing_ok=True)
    line = "The worker ended before the work did. Start it again."
    return rows.filter(pk__in=orphans, state=Work.State.RUNNING).update(state=Work.State.FAILED, line=line)


def _is_orphan(lock: Path, updated: datetime, now: datetime) -> bool:
    held = locks.is_held(lock)
    return updated < now - SILENCE if held is None else not held


def _lock_of(kind: type[Work], key: int) -> Path:
    folder: Path = settings.DRCAPTCHA_RUNS
    return folder / f"{kind._meta.label_lower}-{key}.lock"  # noqa: SLF001 - Django documents it.


@task()
def train(run: int) -> None:
    """Train what the options of ``run`` ask for."""
    follow(Run.objects.get(pk=run), _train)


@task()
def evaluate(run: int) -> None:
    """Evaluate the ensemble of ``run``."""
    follow(Run.objects.get(pk=run), _evaluate)


@task()
def optimise(run: int) -> None:
    """Find weights for the ensemble of ``run``."""
    follow(Run.objects.get(pk=run), _optimise)


@task()
def form_opinions(run: int) -> None:
    """Have the ensemble of ``run`` score the glyphs without a given label."""
    follow(Run.objects.get(pk=run), _form_opinions)


def _train(run: Run) -> str:
    from drcaptcha.learning import experiments  # noqa: PLC0415 -- Loads PyTorch, which only the worker may.

    options = dict(run.options)
    anew = bool(options.pop("anew", False))
    plan = experiments.Plan(**options | {"networks": tuple(options.get("networks", experiments.Plan.networks))})
    noted = 0.0

    def tell(step: experiments.Step) -> None:
        nonlocal noted
        if step.batch is None or time.monotonic() - noted >= PACE:
            noted = time.monotonic()
            _note_progress(run, step.share, step.line)

    run.ensemble = experiments.train(plan, now=timezone.now(), anew=anew, progress=tell)
    run.save(update_fields=["ensemble"])
    finished = run.ensemble.memberships.count()
    if finished < len(plan.networks):
        raise SystemExit(
            f"The server was stopped when {finished} of {len(plan.networks)} networks were trained, which are kept. "
            "Start it again: it goes on with the others."
        )
    return f"{run.ensemble}: {run.ensemble.evaluation}"


def _evaluate(run: Run) -> str:
    if run.ensemble is None:
        return "The ensemble was deleted."
    return str(scoring.evaluate(run.ensemble, now=timezone.now(), progress=_teller(run)))


def _optimise(run: Run) -> str:
    if run.ensemble is None:
        return "The ensemble was deleted."
    pooling = run.options.get("pooling", "auto")
    return str(scoring.optimise(run.ensemble, pooling=pooling, now=timezone.now(), progress=_teller(run)))


def _form_opinions(run: Run) -> str:
    judged = Evaluation.objects.filter(pk=run.options["evaluation"]).first()
    champion = registry.champion()
    if judged is None or champion is None or not champion.says_like(judged):
        return "Another ensemble serves by now."
    tell = _teller(run)
    scored = opinions.complete(now=timezone.now(), progress=lambda share: tell(share, "scoring glyphs"))
    return f"{scored:,} glyphs scored"


def _teller(run: Run) -> Callable[[float, str], None]:
    """Return what writes down how far ``run`` has come, a new line at once and a share now and then."""
    noted, told = 0.0, ""

    def tell(share: float, line: str) -> None:
        nonlocal noted, told
        if line != told or time.monotonic() - noted >= PACE:
            noted, told = time.monotonic(), line
            _note_progress(run, share, line)

    return tell


def follow(run: Piece, work: Callable[[Piece], str]) -> None:
    """Do ``work`` and keep the row of the run at what happens to it; an error goes on to the worker's log.

    Work that is stopped may say in its interruption how far it came.
    """
    with locks.hold(_lock_of(type(run), run.pk), wait=True):
        note(run, state=Run.State.RUNNING)
        try:
            with _signs_of_life(run):
                line = work(run)
        except DrCaptchaError as fault:
            _log.warning("%s was not possible: %s", run, fault.message)
            note(run, state=Run.State.FAILED, line=fault.message)
        except (SystemExit, KeyboardInterrupt) as stop:
            told = stop.args[0] if stop.args and isinstance(stop.args[0], str) else STOPPED
            note(run, state=Run.State.FAILED, line=told)
            raise
        except Exception as fault:
            note(run, state=Run.State.FAILED, line=f"{type(fault).__name__}: {fault}")
            raise
        else:
            note(run, state=Run.State.FINISHED, done=1, line=line)


@contextmanager
def _signs_of_life(run: Work) -> Iterator[None]:
    """Let others see, for the time of the block, that ``run`` is worked on."""
    ended = threading.Event()

    def beat() -> None:
        while not ended.wait(BEAT):
            try:
                note(run, state=Run.State.RUNNING)  # Another machine may have given it up, while this one slept.
            except DatabaseError as fault:
                _log.warning("%s could not give a sign of life: %s", run, fault)
            finally:
                connection.close()

    thread = threading.Thread(target=beat, name=f"signs of life of {run}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _note_progress(run: Work, share: float, line: str) -> None:
    """Write down how far a run has come. The work goes on where the database does not take it."""
    try:
        note(run, done=share, line=line)
    except OperationalError as fault:
        _log.warning("%s could not tell how far it is: %s", run, fault)


def note(run: Work, **fields: object) -> None:
    """Write down how far a run has come."""
    if "line" in fields:
        fields["line"] = str(fields["line"])[:200]
    rows = type(run)._default_manager  # noqa: SLF001 - Django documents it.
    rows.filter(pk=run.pk).update(updated=timezone.now(), **fields)
