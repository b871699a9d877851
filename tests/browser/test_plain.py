"""The plain page in a browser that runs no scripts, by itself and in a frame of a page on another host."""

import json
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import NamedTuple

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, FrameLocator, Page, expect

from tests.registered import Keys

Open = Callable[..., BrowserContext]
Solve = Callable[[str], str]


class Form(NamedTuple):
    """A site that shows a form with the plain page in a frame, and what was sent to it."""

    port: int
    sent: list[dict[str, str]]


@pytest.fixture(scope="module")
def form(server: str, site: Keys) -> Iterator[Form]:
    sent: list[dict[str, str]] = []
    page = f"""<!doctype html><html lang="en"><title>Guest book</title>
        <form method="post"><label>Name <input name="name"></label>
        <noscript><iframe title="Captcha" src="{server}/challenge/{site.sitekey}" width="320" height="560"></iframe>
        <label>Copied <textarea name="drcaptcha-response"></textarea></label></noscript>
        <button>Sign</button></form></html>"""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._say(page)

        def do_POST(self) -> None:
            sent.append(dict(urllib.parse.parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode())))
            self._say(f"<!doctype html><title>Sent</title>Thank you at {self.path}")

        def _say(self, text: str) -> None:
            self.send_response(200 if self.path != "/favicon.ico" else 204)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as httpd:
        Thread(target=httpd.serve_forever, daemon=True).start()
        yield Form(httpd.server_port, sent)
        httpd.shutdown()


def picture(place: Page | FrameLocator) -> str:
    return place.locator("img").get_attribute("src") or ""


def redeemed(server: str, site: Keys, response: str) -> dict[str, object]:
    fields = urllib.parse.urlencode({"secret": site.secret, "response": response}).encode()
    with urllib.request.urlopen(f"{server}/recaptcha/api/siteverify", fields) as answer:  # noqa: S310
        return dict(json.load(answer))


def test_a_visitor_without_scripts_signs_a_form(
    open_context: Open, server: str, site: Keys, form: Form, solve: Solve
) -> None:
    page = open_context(java_script_enabled=False).new_page()
    page.goto(f"http://localhost:{form.port}/")
    frame = page.frame_locator("iframe")
    frame.get_by_label("Type the").fill("?")
    frame.get_by_role("button", name="Check").click()
    expect(frame.get_by_text("That was not right.")).to_be_visible()
    frame.get_by_label("Type the").fill(solve(picture(frame)))
    frame.get_by_label("Type the").press("Enter")
    expect(frame.get_by_text("You are human.")).to_be_visible()
    frame.get_by_label("Copy all of this").press("ControlOrMeta+a")
    page.keyboard.press("ControlOrMeta+c")
    page.get_by_label("Copied").press("ControlOrMeta+v")
    page.get_by_role("button", name="Sign").click()
    expect(page.get_by_text("Thank you")).to_be_visible()
    said = redeemed(server, site, form.sent[-1]["drcaptcha-response"])
    assert (said["success"], said["hostname"]) == (True, "localhost")
    assert page.context.cookies() == []


def test_the_response_is_taken_back_by_a_button(
    open_context: Open, server: str, site: Keys, form: Form, solve: Solve
) -> None:
    page = open_context(java_script_enabled=False).new_page()
    place = urllib.parse.quote(f"http://localhost:{form.port}/sign?draft=7")
    page.goto(f"/challenge/{site.sitekey}?return={place}")
    page.get_by_label("Type the").fill(solve(picture(page)))
    page.get_by_role("button", name="Check").click()
    page.get_by_role("button", name=f"Back to localhost:{form.port}").click()
    expect(page.get_by_text("Thank you at /sign?draft=7")).to_be_visible()
    assert redeemed(server, site, form.sent[-1]["drcaptcha-response"])["success"]


def test_it_is_in_no_frame_of_a_host_that_is_not_listed(open_context: Open, form: Form) -> None:
    page = open_context(java_script_enabled=False, expected=("frame-ancestors",)).new_page()
    with page.expect_console_message(lambda line: "frame-ancestors localhost:*" in line.text):
        page.goto(f"http://127.0.0.1:{form.port}/")
    expect(page.frame_locator("iframe").get_by_label("Type the")).to_have_count(0)


def test_who_listens_passes(open_context: Open, server: str, site: Keys, hear: Callable[[], str]) -> None:
    page = open_context(java_script_enabled=False).new_page()
    page.goto(f"/challenge/{site.sitekey}")
    page.get_by_role("button", name="Listen instead").click()
    expect(page.locator("audio[controls]")).to_be_visible()
    page.get_by_label("Type the 6 characters").last.fill(" ".join(hear()))
    page.get_by_role("button", name="Check").click()
    assert redeemed(server, site, page.get_by_label("Copy all of this").input_value())["success"]


def test_the_sound_plays(page: Page, site: Keys) -> None:
    page.goto(f"/challenge/{site.sitekey}?kind=audio")
    sound = page.locator("audio")
    seconds = sound.evaluate(
        """async (audio) => {
            audio.muted = true; // Unmuted it would wait for a person.
            await audio.play();
            await new Promise((heard) => audio.addEventListener("timeupdate", heard, { once: true }));
            return [audio.duration, audio.currentTime];
        }"""
    )
    assert 4 < seconds[0] < 12
    assert seconds[1] > 0


@pytest.mark.parametrize(("scheme", "language"), [("light", "en"), ("dark", "ar")])
def test_nothing_stands_in_the_way_of_anybody(scheme: str, language: str, open_context: Open, server: str) -> None:
    page = open_context(viewport={"width": 320, "height": 640}, color_scheme=scheme, bypass_csp=True).new_page()
    axe = Axe()

    def check() -> None:
        found = axe.run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]})
        assert found.violations_count == 0, found.generate_report()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    page.goto(f"/challenge/test-fails?language={language}")
    check()
    page.locator("[name=answer]").fill("x")
    page.keyboard.press("Enter")
    expect(page.locator(".verdict p")).to_have_count(2)
    check()
    page.locator("[name=next][value=audio]").click()
    expect(page.locator("audio")).to_be_visible()
    check()
    page.goto(f"/challenge/test-passes?language={language}")
    page.locator("[name=answer]").fill("x")
    page.keyboard.press("Enter")
    expect(page.locator("textarea")).to_be_visible()
    check()
