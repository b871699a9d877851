"""A site's challenge for a browser that runs no scripts."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, Page, expect

from tests.registered import Keys

Open = Callable[..., BrowserContext]


@pytest.fixture
def plain(open_context: Open) -> Page:
    return open_context(java_script_enabled=False, viewport={"width": 320, "height": 600}).new_page()


def test_a_visitor_without_scripts_passes(plain: Page, site: Keys, solve: Callable[[str], str], server: str) -> None:
    plain.goto(f"/challenge/{site.sitekey}")
    plain.get_by_label("Type the").fill("wrong")
    plain.get_by_role("button", name="Check").click()
    expect(plain.get_by_role("alert")).to_have_text("That was not right. Here is another one.")
    picture = plain.get_by_role("img").get_attribute("src") or ""
    plain.get_by_label("Type the").fill(solve(picture))
    plain.get_by_role("button", name="Check").click()
    response = plain.get_by_label("Copy this text").input_value()
    said = plain.request.post(
        f"{server}/recaptcha/api/siteverify", form={"secret": site.secret, "response": response}
    ).json()
    assert said["success"] is True
    assert plain.context.cookies() == []


def test_it_can_be_heard(plain: Page, site: Keys, environment: dict[str, str]) -> None:
    plain.goto(f"/challenge/{site.sitekey}")
    plain.get_by_role("link", name="Listen instead").click()
    assert (plain.locator("audio").get_attribute("src") or "").startswith("data:audio/wav;base64,")
    with closing(sqlite3.connect(Path(environment["DRCAPTCHA_STATE"]) / "drcaptcha.sqlite3")) as db:
        (content,) = db.execute("select content from challenges_captcha order by id desc limit 1").fetchone()
    plain.get_by_label("Type the 6 characters that you hear").fill(json.loads(content)["spoken"])
    plain.get_by_role("button", name="Check").click()
    expect(plain.get_by_role("heading")).to_have_text("You are human.")


def test_only_pages_of_the_site_may_frame_it(plain: Page, site: Keys) -> None:
    answer = plain.goto(f"/challenge/{site.sitekey}")
    assert answer is not None
    assert "frame-ancestors localhost" in answer.headers["content-security-policy"]
    assert "x-frame-options" not in answer.headers
    refused = plain.request.get(f"/challenge/{site.sitekey}", headers={"Referer": "https://evil.example/"})
    assert refused.status == 403
    assert plain.request.get("/challenge/nobody").status == 404


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_stands_in_the_way_of_anybody(scheme: str, open_context: Open, site: Keys) -> None:
    page = open_context(viewport={"width": 320, "height": 600}, color_scheme=scheme).new_page()
    for query in ("", "?kind=audio"):
        page.goto(f"/challenge/{site.sitekey}{query}")
        found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]})
        assert found.violations_count == 0, found.generate_report()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
