"""A simulation on a copy: what a crowd or a threshold would do, without a live installation noticing.

The copy is a database of its own in a folder that is thrown away, and a process of its own works on it, with the same
flows. So nothing is locked for visitors, on SQLite as on PostgreSQL.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from django.conf import settings
from django.core.management import call_command
from django.db import connections, models

from drcaptcha.challenges.simulating import Outcome, Plan, Progress
from drcaptcha.errors import NotPossible
from drcaptcha.glyphs.models import DataSet, Glyph, Split, State
from drcaptcha.learning.models import Ensemble, Prior
from handwriting.alphabet import ALPHABETS

COPY = "copy"
"""The alias of the copy's database, while it is written."""

MOST_CONTROLS = 8_000
"""Labelled glyphs that the copy takes along, chosen at random."""

BATCH = 2_000


@dataclass(frozen=True)
class Rehearsal:
    """A plan to be tried on a copy: of ``probes`` glyphs, with other thresholds than the installation's where given.

    With ``retrain`` a network learns from all labels at so many stages, and is judged on the test glyphs.
    """

    plan: Plan
    probes: int = 20_000
    accept: float | None = None
    agreement: int | None = None
    retrain: int = 0


def rehearse(rehearsal: Rehearsal, *, progress: Progress = lambda _: None) -> Outcome:
    """Simulate on a copy, and return what came of it. Ctrl-C ends it without a trace.

    Raises:
        NotPossible: there are too few glyphs whose truth is known; or the simulation failed, with its last words.
    """
    with _copy(rehearsal) as environment:
        plan = rehearsal.plan
        words = ["--crowd", plan.crowd, "--rule", plan.rule, "--seed", plan.seed, "--retrain", rehearsal.retrain]
        command = [sys.executable, "-m", "django", "simulate", "--here", *map(str, words)]
        if plan.nature:
            command += ["--nature", json.dumps(plan.nature.__dict__)]
        with (
            tempfile.TemporaryFile("w+") as complaints,
            subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=complaints, text=True) as child,  # noqa: S603
        ):
            try:
                outcome = _listen(child, progress)
            except BaseException:
                child.kill()
                raise
            if child.wait() or outcome is None:
                complaints.seek(0)
                last = complaints.read().strip().rpartition("\n")[2]
                raise NotPossible(f"The simulation failed: {last or 'it ended without a word.'}")
        return outcome


def _listen(child: "subprocess.Popen[str]", progress: Progress) -> Outcome | None:
    """Read the child's lines: how far it has come, and in the end what came of it."""
    outcome = None
    for line in child.stdout or ():
        said = json.loads(line)
        if isinstance(said, float):
            progress(said)
        else:
            outcome = Outcome(**said)
    return outcome


@contextmanager
def _copy(rehearsal: Rehearsal) -> Iterator[dict[str, str]]:
    """Make a copy of what the simulation needs; yield the environment in which it is the installation."""
    rng = np.random.default_rng(rehearsal.plan.seed)
    probes, controls = _choose(rehearsal.probes, rng)
    with tempfile.TemporaryDirectory(prefix="drcaptcha-simulation-") as folder:
        own = connections.databases["default"] | {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": Path(folder) / "drcaptcha.sqlite3",
            "OPTIONS": {"init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;"},
            "CONN_HEALTH_CHECKS": False,
        }
        connections.databases[COPY] = own
        try:
            call_command("migrate", database=COPY, verbosity=0)
            _fill(probes, controls, with_test=bool(rehearsal.retrain))
        finally:
            connections[COPY].close()
            del connections[COPY], connections.databases[COPY]
        yield os.environ | {
            "DJANGO_SETTINGS_MODULE": "drcaptcha.settings",
            "DRCAPTCHA_STATE": folder,
            "DRCAPTCHA_ALPHABET": settings.DRCAPTCHA_ALPHABET,
            "DRCAPTCHA_ACCEPT": str(rehearsal.accept or settings.DRCAPTCHA_ACCEPT),
            "DRCAPTCHA_AGREEMENT": str(rehearsal.agreement or settings.DRCAPTCHA_AGREEMENT),
            "DATABASE_URL": "",
            "REDIS_URL": "",
        }


def _choose(count: int, rng: np.random.Generator) -> tuple[list[int], list[int]]:
    """Return the glyphs to ask about and those that stay labelled.

    First those whose label is wanted or came from votes; then, where these are too few, some that came with a label.
    """
    if count < 1:
        raise NotPossible("The number of probes must be at least 1.")
    letters = ALPHABETS[settings.DRCAPTCHA_ALPHABET]
    legible = [*letters.classes, *letters.merged]
    known = Glyph.objects.filter(split=Split.TRAIN, truth__in=legible).order_by("pk").values_list("pk", flat=True)
    wanted = np.fromiter(known.filter(given=""), np.int64)
    given = np.fromiter(known.filter(state=State.CONTROL).exclude(given=""), np.int64)
    probes = rng.permutation(wanted)[:count]
    missing = count - len(probes)
    spare = max(0, len(given) - settings.DRCAPTCHA_MIN_CONTROLS)
    if missing > spare:
        raise NotPossible(
            f"There are {len(wanted):,} glyphs without a given label and {spare:,} labels that can be spared, so no "
            f"more than {len(wanted) + spare:,} probes can be simulated."
        )
    given = rng.permutation(given)
    chosen = np.sort(np.concatenate([probes, given[:missing]]))
    return chosen.tolist(), np.sort(given[missing : missing + MOST_CONTROLS]).tolist()


def _fill(probes: Sequence[int], controls: Sequence[int], *, with_test: bool) -> None:
    _take(DataSet.objects.all())
    anew = {"label": "", "given": "", "state": State.UNKNOWN}
    clean = {"posterior": None, "worth": 1.0, "passes": 0, "heard_from": None}
    for keys, changes in ((probes, anew | clean), (controls, clean)):
        for start in range(0, len(keys), BATCH):
            _take(Glyph.objects.filter(pk__in=keys[start : start + BATCH]), **changes)
    if with_test:
        _take(Glyph.objects.filter(split=Split.TEST))
    _take(Ensemble.objects.all())
    for start in range(0, len(probes), BATCH):
        _take(Prior.objects.filter(glyph__in=probes[start : start + BATCH]))


def _take(rows: "models.QuerySet[Any]", **changes: object) -> None:
    """Copy rows, with their numbers."""
    batch = []
    for row in rows.order_by("pk").iterator():
        for name, value in changes.items():
            setattr(row, name, value)
        batch.append(row)
        if len(batch) == BATCH:
            rows.model.objects.using(COPY).bulk_create(batch)
            batch.clear()
    rows.model.objects.using(COPY).bulk_create(batch)
