"""Solving captchas in a browser."""

from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

Read = Callable[[Page], str]


def shown(page: Page) -> str:
    """Return the address of the picture that the page shows."""
    picture = page.locator("[data-challenge-form] img[src]")
    expect(picture).to_be_visible()
    return picture.get_attribute("src") or ""


def verdict(page: Page) -> Locator:
    """Return what the page says about the answer; the lines that it might say stand there hidden."""
    return page.get_by_role("status").locator("p:visible")


def answer(page: Page, text: str) -> None:
    page.get_by_label("Type the characters").fill(text)
    page.get_by_role("button", name="Check").click()


@pytest.mark.parametrize("path", ["/", "/test-captcha"])
def test_a_person_passes_and_may_read_another(path: str, page: Page, read: Read) -> None:
    page.goto(path)
    first = shown(page)
    answer(page, read(page))
    expect(verdict(page)).to_contain_text("You are human.")
    expect(page.get_by_label("Type the characters")).to_be_disabled()
    page.get_by_role("button", name="Read another").click()
    expect(page.get_by_label("Type the characters")).to_be_focused()
    expect(verdict(page)).to_have_count(0)
    assert shown(page) != first


def test_a_wrong_answer_fails_and_brings_another_picture(page: Page, read: Read) -> None:
    page.goto("/test-captcha")
    first = shown(page)
    answer(page, "".join("W" if c != "W" else "7" for c in read(page)))
    expect(verdict(page)).to_contain_text("Not this time.")
    expect(page.get_by_label("Type the characters")).to_be_focused()
    assert shown(page) != first
    answer(page, read(page))
    expect(verdict(page)).to_contain_text("You are human.")


def test_it_works_without_scripts(open_context: Callable[..., BrowserContext], read: Read) -> None:
    page = open_context(java_script_enabled=False).new_page()
    page.goto("/test-captcha")
    first = shown(page)
    page.get_by_role("button", name="New picture").click()
    assert shown(page) != first
    answer(page, read(page))
    expect(verdict(page)).to_contain_text("You are human.")


@pytest.mark.parametrize("scripts", [True, False])
def test_it_can_be_heard(scripts: bool, open_context: Callable[..., BrowserContext], hear: Callable[[], str]) -> None:
    page = open_context(java_script_enabled=scripts).new_page()
    page.goto("/test-captcha")
    picture = page.locator("[data-challenge-form] img")
    expect(picture).to_be_visible()
    page.get_by_role("button", name="Listen instead").click()
    expect(page.locator("audio")).to_be_visible()
    expect(picture).to_be_hidden()
    first = page.locator("audio").get_attribute("src")
    page.get_by_role("button", name="New sound").click()
    expect(page.locator("audio")).not_to_have_attribute("src", first or "")
    answer(page, "999999")  # One in a million is right.
    expect(verdict(page)).to_contain_text("Not this time.")
    expect(page.locator("audio")).to_be_visible()
    answer(page, hear())
    expect(verdict(page)).to_contain_text("You are human.")
    page.get_by_role("button", name="Read another" if scripts else "New picture").click()
    expect(picture if not scripts else page.locator("audio")).to_be_visible()


def test_a_new_picture_on_request(page: Page, read: Read) -> None:
    page.goto("/test-captcha")
    first = shown(page)
    page.get_by_role("button", name="New picture").click()
    expect(page.locator("[data-challenge-form] img")).not_to_have_attribute("src", first)
    answer(page, read(page))
    expect(verdict(page)).to_contain_text("You are human.")


def test_a_lost_connection_costs_no_answer(open_context: Callable[..., BrowserContext], read: Read) -> None:
    page = open_context(expected=("ERR_FAILED",)).new_page()
    page.goto("/test-captcha")
    text = read(page)
    page.route("**/api/v1/answers", lambda route: route.abort())
    answer(page, text)
    expect(verdict(page)).to_contain_text("The server can’t be reached.")
    expect(page.get_by_label("Type the characters")).to_have_value(text)
    page.unroute("**/api/v1/answers")
    page.get_by_role("button", name="Check").click()
    expect(verdict(page)).to_contain_text("You are human.")


def test_a_spent_challenge_is_replaced(open_context: Callable[..., BrowserContext], read: Read) -> None:
    page = open_context(expected=("409 (Conflict)",)).new_page()
    page.goto("/test-captcha")
    first, text = shown(page), read(page)
    spend = "body => fetch('/api/v1/answers', {method: 'POST', headers: {'Content-Type': 'application/json'}, body})"
    token = page.locator("[name=challenge]").input_value()
    page.evaluate(spend, f'{{"challenge": "{token}", "answer": "x"}}')
    answer(page, text)
    expect(verdict(page)).to_contain_text("This challenge was answered before. Here is a new one.")
    assert shown(page) != first


def test_an_old_picture_is_replaced(page: Page, read: Read) -> None:
    page.clock.install()
    page.goto("/test-captcha")
    first = shown(page)
    page.clock.fast_forward("04:56")
    expect(verdict(page)).to_contain_text("here is a new one")
    assert shown(page) != first


def test_a_server_that_is_not_ready_says_so(open_context: Callable[..., BrowserContext]) -> None:
    page = open_context(expected=("503 (Service Unavailable)",)).new_page()
    error = {"error": {"code": "not-ready", "message": "A captcha needs 5 controls."}}
    page.route("**/api/v1/challenges", lambda route: route.fulfill(status=503, json=error))
    page.goto("/")
    expect(page.get_by_text("A captcha needs 5 controls.")).to_be_visible()
    expect(page.get_by_role("button", name="Check")).to_be_hidden()


def test_the_page_tells_nothing_of_the_answer(page: Page, read: Read) -> None:
    page.goto("/test-captcha")
    text = read(page)
    source = shown(page)
    assert text not in page.content().replace(source, "")
    assert page.locator("[data-challenge-form] img").get_attribute("alt") == (
        "A line of handwritten characters; type them below."
    )
