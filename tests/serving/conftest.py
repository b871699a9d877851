"""A server as ``script/server`` runs it, with several processes, on SQLite or on the PostgreSQL that the tests have."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

ROOT = Path(__file__).parents[2]
PATIENCE = 60
"""Seconds in which a server has to be up."""

RATE = 150
"""Challenges, and answers, that a source may have in a minute on each site."""

PREPARATION = """
from django.core.management import call_command
call_command("migrate", verbosity=0)
import numpy as np
from drcaptcha.glyphs.models import DataSet, Glyph
rng = np.random.default_rng(7)
live = DataSet.objects.create(name="live")
for state, label in (("control", "A"), ("unknown", "")):
    Glyph.objects.bulk_create(
        Glyph(data_set=live, digest=rng.bytes(16), picture=rng.bytes(784), place=int(rng.integers(2**31)),
              split="train", state=state, label=label, given=label, truth="A")
        for _ in range(200)
    )
call_command("generatecaptchas", 300, verbosity=0)
from django.contrib.auth.models import User
User.objects.create_superuser("ada", password="correct horse")
"""
"""Every glyph is an A, so that whoever types nothing else passes."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep what lies in this folder in one process, which has the one installation."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.xdist_group("serving"))


@dataclass(frozen=True)
class Installation:
    """A prepared state folder and database, by the environment that names them."""

    environment: dict[str, str]

    def start(self, program: str) -> subprocess.Popen[str]:
        """Run a program in this installation."""
        command = [sys.executable, "-c", f"import django; django.setup()\n{program}"]
        return subprocess.Popen(command, env=self.environment, stdin=-1, stdout=-1, stderr=-1, text=True)

    def run(self, program: str) -> str:
        """Run a program to its end and return what it printed."""
        with self.start(program) as process:
            out, error = process.communicate()
        assert process.returncode == 0, error
        return out

    def manage(self, *arguments: str) -> str:
        """Run a command and return what it printed."""
        return self.run(f"from django.core.management import call_command; call_command(*{arguments!r})")


@pytest.fixture(scope="session")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """An installation with captchas, and without work."""
    server = os.environ.get("DATABASE_URL", "")
    name = f"live_{os.getpid()}"
    ours = {
        "DRCAPTCHA_STATE": str(tmp_path_factory.mktemp("live")),
        "DJANGO_SETTINGS_MODULE": "drcaptcha.settings",
        "PYTHONPATH": str(ROOT / "src"),
        "DRCAPTCHA_WORKERS": "3",
        "DRCAPTCHA_RATE": str(RATE),
        **dict.fromkeys(("DRCAPTCHA_SITE_RATE", "DRCAPTCHA_WORK", "DRCAPTCHA_POOL"), "0"),
    }
    installation = Installation(os.environ | ours)
    if server:
        at_server = f"from django.db import connection; connection.cursor().execute('{{}} DATABASE {name}')"
        installation.run(at_server.format("CREATE"))
        installation.environment["DATABASE_URL"] = f"{server.rpartition('/')[0]}/{name}"
    installation.run(PREPARATION)
    yield installation
    if server:
        Installation(os.environ | ours).run(at_server.format("DROP"))


@dataclass(frozen=True)
class Service:
    """A running ``script/server``."""

    process: subprocess.Popen[bytes]
    port: int

    @property
    def address(self) -> str:
        """Where it is found."""
        return f"http://127.0.0.1:{self.port}"

    def ready(self, path: str, body: dict[str, Any], *, form: bool = False) -> Callable[[], tuple[int, Any]]:
        """Connect, and return what POSTs the body and returns the status and the answer."""
        caller = HTTPConnection("127.0.0.1", self.port, timeout=30)
        caller.connect()
        kind = "x-www-form-urlencoded" if form else "json"

        def send() -> tuple[int, Any]:
            with closing(caller):
                content = urlencode(body) if form else json.dumps(body)
                caller.request("POST", path, content, {"Content-Type": f"application/{kind}"})
                response = caller.getresponse()
                return response.status, json.loads(response.read())

        return send

    def call(self, path: str, body: dict[str, Any], *, form: bool = False) -> tuple[int, Any]:
        """POST the body and return the status and the answer."""
        return self.ready(path, body, form=form)()

    def processes(self) -> list[int]:
        """Return the numbers of the processes that serve, by their ages."""
        above = [pid for pid in _children(self.process.pid) if "granian" in _command(pid)]
        return [pid for each in above for pid in _children(each) if "resource_tracker" not in _command(pid)]

    def parts(self) -> list[int]:
        """Return the numbers of the server above these, and of the worker; of those that run."""
        children = _children(self.process.pid)
        return [pid for name in ("granian", "db_worker") for pid in children if name in _command(pid)]


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _command(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_text()


@contextmanager
def serving(installation: Installation) -> Iterator[Service]:
    """Run ``script/server`` for the time of the block."""
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        port = probe.getsockname()[1]
    environment = installation.environment | {"PORT": str(port)}
    with subprocess.Popen([ROOT / "script/server"], cwd=ROOT, env=environment, stdout=subprocess.DEVNULL) as process:
        service = Service(process, port)
        try:
            until = time.monotonic() + PATIENCE
            while not _answers(service):
                assert process.poll() is None, f"the server ended with {process.returncode}"
                assert time.monotonic() < until, f"the server was not up after {PATIENCE} s"
                time.sleep(0.1)
            yield service
        finally:
            process.terminate()
            process.wait(PATIENCE)


def _answers(service: Service) -> bool:
    try:
        urllib.request.urlopen(f"{service.address}/ready", timeout=5).close()  # noqa: S310
    except OSError:
        return False
    return True


@pytest.fixture(scope="package")
def service(installation: Installation) -> Iterator[Service]:
    """A server that is not hurt."""
    with serving(installation) as service:
        yield service
