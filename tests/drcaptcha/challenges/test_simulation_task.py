import os
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
from django.core.management import call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from drcaptcha.challenges import rehearsing, tasks
from drcaptcha.challenges.models import Simulation
from drcaptcha.challenges.rehearsing import Rehearsal
from drcaptcha.challenges.simulating import Outcome, Progress
from drcaptcha.glyphs.models import Glyph
from drcaptcha.labelling.models import Source, Vote
from drcaptcha.labelling.weighing import OURS
from drcaptcha.learning.models import Run
from drcaptcha.learning.tasks import SILENCE, give_up_orphans

pytestmark = pytest.mark.django_db(transaction=True)
State = Run.State


def queue(**asked: object) -> Simulation:
    asked = {"crowd": "honest", "rule": OURS, "probes": 12, "accept": 0.9, "agreement": 2} | asked
    return tasks.queue_simulation(Simulation(**asked))


def work() -> None:
    """Let the worker do all that is queued."""
    call_command("db_worker", batch=True, interval=0, startup_delay=False, verbosity=0)


def database() -> str:
    """Return the address of the test's database."""
    own = connection.settings_dict
    if connection.vendor == "sqlite":
        return f"sqlite:///{own['NAME']}"
    port = f":{own['PORT']}" if own["PORT"] else ""  # A socket has none, and is named by its folder.
    return f"postgres://{own['USER']}:{own['PASSWORD']}@{quote(own['HOST'], safe='')}{port}/{own['NAME']}"


def work_apart(folder: Path, **settings: str) -> None:
    """Let a worker of its own process do it: in a test's process none may open another database than the test's."""
    settings |= {
        "DJANGO_SETTINGS_MODULE": "drcaptcha.settings",
        "DRCAPTCHA_STATE": str(folder),
        "DATABASE_URL": database(),
    }
    command = [sys.executable, "-m", "django", "db_worker", "--batch", "--no-startup-delay", "--no-reload", "-v0"]
    subprocess.run(command, env=os.environ | settings, check=True, timeout=120)


def test_a_simulation_ends_with_its_outcome_and_changes_nothing(
    make_glyph: Callable[..., Glyph], tmp_path: Path
) -> None:
    for _ in range(4):
        for character in "ABDEHMNQRT":
            make_glyph(character)
    before = list(Glyph.objects.order_by("pk").values())
    simulation = queue()
    assert simulation.state == State.QUEUED
    work_apart(tmp_path, DRCAPTCHA_MIN_CONTROLS="20")
    simulation.refresh_from_db()
    assert (simulation.state, simulation.done) == (State.FINISHED, 1), simulation.line
    outcome = simulation.outcome
    assert (outcome["crowd"], outcome["probes"]) == ("honest", 12)
    assert outcome["accepted"] + outcome["disputed"] + outcome["unreadable"] + outcome["open"] == 12
    assert f"{outcome['accepted']} labels" in simulation.line
    assert list(Glyph.objects.order_by("pk").values()) == before
    assert not Vote.objects.exists()
    assert not Source.objects.exists()


def test_what_is_not_possible_is_told(make_glyph: Callable[..., Glyph]) -> None:
    make_glyph("A")
    much, odd = queue(probes=5_000), queue(crowd="martians")
    work()
    for simulation, why in ((much, "probes can be simulated"), (odd, "There is no crowd martians")):
        simulation.refresh_from_db()
        assert simulation.state == State.FAILED
        assert why in simulation.line
        assert simulation.outcome == {}


@pytest.mark.parametrize("stop", [SystemExit, KeyboardInterrupt])
def test_a_stop_is_told(monkeypatch: pytest.MonkeyPatch, stop: type[BaseException]) -> None:
    def rehearse(rehearsal: Rehearsal, *, progress: Progress) -> Outcome:
        raise stop

    monkeypatch.setattr(rehearsing, "rehearse", rehearse)
    simulation = queue()
    with pytest.raises(stop):
        tasks.simulate.func(simulation.pk)
    simulation.refresh_from_db()
    assert simulation.state == State.FAILED
    assert "The server was stopped" in simulation.line


def test_it_asks_for_what_was_ordered_and_writes_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Rehearsal] = []

    def rehearse(rehearsal: Rehearsal, *, progress: Progress) -> Outcome:
        asked.append(rehearsal)
        with CaptureQueriesContext(connection) as queries:
            for step in range(1000):
                progress(step / 1000)
        assert len(queries) <= 2
        return Outcome("liars10", "majority", accuracy=0.987, accepted=9, votes_per_label=3.5)

    monkeypatch.setattr(rehearsing, "rehearse", rehearse)
    simulation = queue(crowd="liars10", rule="majority", accept=0.97, agreement=4, seed=11)
    tasks.simulate.func(simulation.pk)
    simulation.refresh_from_db()
    assert simulation.line == "9 labels, 98.70% right, 3.50 votes each"
    assert simulation.outcome["accuracy"] == 0.987
    plan = asked[0].plan
    assert (plan.crowd, plan.rule, plan.seed) == ("liars10", "majority", 11)
    assert (asked[0].probes, asked[0].accept, asked[0].agreement) == (12, 0.97, 4)


def test_a_simulation_whose_worker_is_gone_is_given_up() -> None:
    now = timezone.now()
    gone, alive = queue(), queue()
    Simulation.objects.update(state=State.RUNNING)
    Simulation.objects.filter(pk=gone.pk).update(updated=now - SILENCE - timedelta(seconds=1))
    assert give_up_orphans(now) == 1
    gone.refresh_from_db()
    alive.refresh_from_db()
    assert (gone.state, alive.state) == (State.FAILED, State.RUNNING)
