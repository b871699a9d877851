"""The sample sites: each is started by its one command and used by a visitor."""

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, Page, expect

from tests.registered import Keys

Open = Callable[..., BrowserContext]
EXAMPLES = Path(__file__).parents[2] / "examples"


@contextmanager
def running(program: str, environment: dict[str, str]) -> Iterator[str]:
    """Run a sample site; yield its address."""
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        port = probe.getsockname()[1]
    with subprocess.Popen(
        [sys.executable, EXAMPLES / program],
        env={name: value for name, value in os.environ.items() if not name.startswith("DJANGO_")}
        | environment
        | {"PORT": str(port)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            for _ in range(200):
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    assert process.poll() is None, f"{program} has ended"
                    time.sleep(0.1)
            yield f"http://localhost:{port}/"
        finally:
            process.terminate()


@pytest.mark.parametrize("program", ["plain/server.py", "django/form.py", "flask/app.py"])
def test_a_visitor_sends_the_form_of_a_sample_site(
    program: str,
    open_context: Open,
    server: str,
    site: Keys,
    solve: Callable[[str], str],
) -> None:
    page: Page = open_context(viewport={"width": 375, "height": 740}, bypass_csp=True, expected=("404",)).new_page()
    keys = {"DRCAPTCHA_URL": server, "DRCAPTCHA_SITEKEY": site.sitekey, "DRCAPTCHA_SECRET": site.secret}
    with running(program, keys) as address:
        page.goto(address)
        widget = page.locator("dr-captcha")
        with page.expect_response("**/api/v1/challenges") as asked:
            widget.get_by_role("button", name="I am human").click()
        found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]})
        assert found.violations_count == 0, found.generate_report()
        page.get_by_label("Your name").fill("Ada")
        send = page.locator("form button[type=submit], form button:not([type])").last
        send.click()
        expect(page.get_by_text("Thank you")).to_have_count(0)
        widget.get_by_role("textbox").fill(solve(asked.value.json()["image"]))
        widget.get_by_role("button", name="Check").click()
        expect(widget.get_by_text("You are human.")).to_be_visible()
        send.click()
        expect(page.get_by_text("Thank you, Ada.")).to_be_visible()
        page.close()  # Before the server ends, which the page would complain about.


@pytest.mark.parametrize("program", ["plain/server.py", "django/form.py", "flask/app.py"])
def test_while_drcaptcha_can_not_be_reached_the_form_comes_back(program: str, open_context: Open) -> None:
    page: Page = open_context(expected=("ERR_CONNECTION_REFUSED", "404")).new_page()
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        nobody = f"http://127.0.0.1:{probe.getsockname()[1]}"
    with running(program, {"DRCAPTCHA_URL": nobody}) as address:
        page.goto(address)
        page.get_by_label("Your name").fill("Ada")
        response = "const field = document.createElement('input'); field.name = 'drcaptcha-response'; field.value = 'x'"
        page.evaluate(f"(() => {{ {response}; document.forms[0].append(field) }})()")
        page.locator("form button").last.click()
        expect(page.get_by_text(re.compile("Please show"))).to_be_visible()
        page.close()
