"""A simulation on a copy: what a crowd or a threshold would do, without a live installation noticing.

The copy is a database of its own in a folder that is thrown away, and a process of its own works on it, with the same
flows. So nothing is locked for visitors, on SQLite as on PostgreSQL.
"""

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from django.conf import settings
from django.db import models

from drcaptcha.challenges.simulating import Outcome, Plan, Progress
from drcaptcha.errors import NotPossible
from drcaptcha.glyphs.models import FRESH, DataSet, Glyph, Split, State
from drcaptcha.learning.models import Ensemble, Prior
from drcaptcha.queries import raw
from handwriting.alphabet import ALPHABETS

MOST_CONTROLS = 8_000
"""Labelled glyphs that the copy takes along, chosen at random."""

BATCH = 2_000

MARK = "DRCAPTCHA_SIMULATION"
"""The variable that tells a process which folder is a copy, so that no live installation is taken for one."""


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
        environment = os.environ | {
            "DJANGO_SETTINGS_MODULE": "drcaptcha.settings",
            "DRCAPTCHA_STATE": folder,
            MARK: folder,
            "DRCAPTCHA_ALPHABET": settings.DRCAPTCHA_ALPHABET,
            "DRCAPTCHA_ACCEPT": str(rehearsal.accept or settings.DRCAPTCHA_ACCEPT),
            "DRCAPTCHA_AGREEMENT": str(rehearsal.agreement or settings.DRCAPTCHA_AGREEMENT),
            "DATABASE_URL": "",
            "REDIS_URL": "",
        }
        subprocess.run([sys.executable, "-m", "django", "migrate", "--verbosity", "0"], env=environment, check=True)
        with closing(sqlite3.connect(Path(folder) / "drcaptcha.sqlite3")) as copy, copy:
            _fill(copy, probes, controls, with_test=bool(rehearsal.retrain))
        yield environment


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


def _fill(copy: sqlite3.Connection, probes: Sequence[int], controls: Sequence[int], *, with_test: bool) -> None:
    _take(copy, DataSet.objects.all())
    _take(copy, Ensemble.objects.all())
    anew = {"label": "", "given": "", "state": State.UNKNOWN.value}
    clean = {"posterior": None, "worth": FRESH, "passes": 0, "heard_from": None}
    for keys, changes in ((probes, anew | clean), (controls, clean)):
        for start in range(0, len(keys), BATCH):
            _take(copy, Glyph.objects.filter(pk__in=keys[start : start + BATCH]), **changes)
    for start in range(0, len(probes), BATCH):
        _take(copy, Prior.objects.filter(glyph__in=probes[start : start + BATCH]), evaluation_id=None)
    if with_test:
        _take(copy, Glyph.objects.filter(split=Split.TEST))


def _take(copy: sqlite3.Connection, rows: "models.QuerySet[Any]", **changes: object) -> None:
    """Copy rows as they are stored, with their numbers, but for the fields that are named."""
    fields = rows.model._meta.concrete_fields  # noqa: SLF001 -- Django documents it.
    names = [field.attname for field in fields]
    stored = [
        tuple(changes[name] if name in changes else _plain(value) for name, value in zip(names, row, strict=True))
        for row in raw(rows.order_by("pk").values_list(*names))
    ]
    columns, places = ", ".join(field.column for field in fields), ", ".join("?" * len(fields))
    copy.executemany(f"INSERT INTO {rows.model._meta.db_table} ({columns}) VALUES ({places})", stored)  # noqa: S608, SLF001


def _plain(value: Any) -> Any:
    """Return a value of whatever database as SQLite keeps it."""
    if isinstance(value, datetime):
        return str(value.astimezone(UTC).replace(tzinfo=None))
    return bytes(value) if isinstance(value, memoryview) else value
