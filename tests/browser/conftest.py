"""A server of its own, with a state of its own, and a browser that looks at it."""

import base64
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from handwriting.formats import starter
from tests.browser.elsewhere import Elsewhere
from tests.registered import Keys

ROOT = Path(__file__).parents[2]
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PREPARATION = """
import sys, django
from django.core.management import call_command
django.setup()
call_command("migrate", verbosity=0)
call_command("collectstatic", interactive=False, verbosity=0)
call_command("importemnist", sys.argv[1], split="starter")
call_command("removelabels", 500)
call_command("train", networks="compact", epochs=1, subset=1500)
call_command("generatecaptchas", 100)
from django.contrib.auth.models import User
User.objects.create_superuser("ada", password="correct horse")
"""
PATIENCE = 30
"""Seconds in which the server has to be up."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what lies in this folder, and keep it in one process, which has the one server."""
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.xdist_group("browser"))


@pytest.fixture(scope="package")
def chromium() -> str:
    """Where Chromium is: CHROMIUM, or on the path."""
    names = ("chromium", "chromium-browser", "google-chrome")
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if found:
        return found
    notice = "there is no Chromium: install it, or name it with CHROMIUM=/path/to/it"
    if os.environ.get("CI") == "true":
        pytest.fail(notice)
    pytest.skip(notice)


@pytest.fixture(scope="package")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a prepared installation: glyphs, some of them unlabelled, a network, and captchas."""
    state = tmp_path_factory.mktemp("state")
    ours = {
        "DRCAPTCHA_STATE": str(state),
        "DJANGO_SETTINGS_MODULE": "drcaptcha.settings",
        "PYTHONPATH": str(ROOT / "src"),
    }
    foreign = {"DATABASE_URL", "REDIS_URL", "DRCAPTCHA_ENV", "DRCAPTCHA_HTTPS", "DRCAPTCHA_SECRET_KEY"}
    environment = {name: value for name, value in os.environ.items() if name not in foreign} | ours
    run = subprocess.run(
        [sys.executable, "-c", PREPARATION, str(starter.FOLDER)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return environment


@pytest.fixture(scope="package")
def server(environment: dict[str, str]) -> Iterator[str]:
    """The address of the running server."""
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        port = str(probe.getsockname()[1])
    options = ("--interface", "wsgi", "--host", "127.0.0.1", "--port", port, "--no-ws", "--log-level", "warning")
    command = [sys.executable, "-m", "granian", *options, "drcaptcha.wsgi:application"]
    with subprocess.Popen(command, cwd=ROOT, env=environment) as process:
        try:
            address = f"http://127.0.0.1:{port}"
            _wait_for(address, process)
            yield address
        finally:
            process.terminate()


def _wait_for(address: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + PATIENCE
    while True:
        try:
            urllib.request.urlopen(address, timeout=5).close()  # noqa: S310
        except OSError:
            assert process.poll() is None, f"the server ended with {process.returncode}"
            assert time.monotonic() < until, f"the server was not up after {PATIENCE} s"
            time.sleep(0.1)
        else:
            return


@pytest.fixture(scope="package")
def site(environment: dict[str, str]) -> Keys:
    """A registered site whose one host is localhost."""
    command = [sys.executable, ROOT / "manage.py", "createsite", "Elsewhere", "--host", "localhost", "--json"]
    return Keys(**json.loads(subprocess.run(command, env=environment, check=True, capture_output=True).stdout))


@pytest.fixture(scope="package")
def browser(chromium: str) -> Iterator[Browser]:
    """Chromium. While Playwright's loop runs in this thread, Django would refuse all tests the database."""
    with sync_playwright() as playwright, pytest.MonkeyPatch.context() as patch:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="package")
def elsewhere(server: str) -> Iterator[Elsewhere]:
    pages: dict[str, str] = {}
    strict = f"default-src 'none'; script-src {server}; connect-src {server}; form-action 'self'; img-src 'self'"

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path, _, query = self.path.partition("?")
            body = pages.get(path, "Sent" if path == "/" else "").encode()
            self.send_response(200 if body else 204)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Security-Policy", strict + ("; worker-src blob:" if query == "workers" else ""))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        Thread(target=httpd.serve_forever, daemon=True).start()
        yield Elsewhere(f"http://localhost:{httpd.server_port}", pages)
        httpd.shutdown()


@pytest.fixture
def open_context(browser: Browser, server: str) -> Iterator[Callable[..., BrowserContext]]:
    """Open windows of any size, taste and ability; at the end none may have had anything to complain about."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    def open_one(*, expected: tuple[str, ...] = (), **options: object) -> BrowserContext:
        context = browser.new_context(base_url=server, **options)  # type: ignore[arg-type]
        context.set_default_timeout(10_000)

        def complain(text: str) -> None:
            if not any(each in text for each in expected):
                complaints.append(text)

        context.on("console", lambda line: complain(line.text) if line.type in {"error", "warning"} else None)
        context.on("weberror", lambda error: complain(str(error.error)))
        contexts.append(context)
        return context

    yield open_one
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def page(open_context: Callable[..., BrowserContext]) -> Page:
    """A window as most people have it."""
    return open_context(viewport={"width": 1280, "height": 800}).new_page()


@pytest.fixture
def solve(environment: dict[str, str]) -> Callable[[str], str]:
    """Read the picture at an address that carries it, as a person would who makes no mistake."""
    database = Path(environment["DRCAPTCHA_STATE"]) / "drcaptcha.sqlite3"

    def solve_one(address: str) -> str:
        picture = base64.b64decode(address.partition(",")[2])
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as db:
            content = db.execute("select content from challenges_captcha where picture = ?", (picture,)).fetchone()[0]
            glyphs = [slot[0] for slot in json.loads(content)]
            truths = [db.execute("select truth from glyphs_glyph where id = ?", (pk,)).fetchone()[0] for pk in glyphs]
        return "".join(truths)

    return solve_one


@pytest.fixture
def hear(environment: dict[str, str]) -> Callable[[], str]:
    """Hear what was spoken last, as a person would who makes no mistake."""
    database = Path(environment["DRCAPTCHA_STATE"]) / "drcaptcha.sqlite3"

    def hear_it() -> str:
        query = "select content from challenges_captcha where media_type like 'audio/%' order by id desc limit 1"
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as db:
            return str(json.loads(db.execute(query).fetchone()[0])["spoken"])

    return hear_it


@pytest.fixture
def read(solve: Callable[[str], str]) -> Callable[[Page], str]:
    """Read the captcha that a page of ours shows."""
    return lambda page: solve(page.locator("[data-challenge-form] img").get_attribute("src") or "")
