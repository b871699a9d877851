"""Weights are tried in the administration before they are saved, with the keyboard alone."""

import re
from collections.abc import Callable

from playwright.sync_api import BrowserContext, expect

LIST = "/admin/learning/ensemble/"


def test_a_slider_tells_at_once_what_a_weight_would_be_worth(open_context: Callable[..., BrowserContext]) -> None:
    # That nobody has a weight is refused, which the browser notes as an error.
    page = open_context(expected=("400 (Bad Request)",)).new_page()
    page.goto(f"/admin/login/?next={LIST}")
    page.get_by_label("Username").fill("ada")
    page.get_by_label("Password").fill("correct horse")
    page.keyboard.press("Enter")
    page.get_by_role("link", name=re.compile("compact")).first.click()
    figure, weight = page.locator("[data-accuracy]"), page.locator("[name=memberships-0-weight]")
    expect(figure).to_have_text(re.compile(r"\d+\.\d\d%"), timeout=20_000)
    slider = page.get_by_role("slider", name=re.compile("Weight of compact"))
    slider.focus()
    for _ in range(100):
        page.keyboard.press("ArrowLeft")
    expect(weight).to_have_value("0")
    expect(page.locator("[data-status]")).to_have_text(re.compile("needs a weight above 0"))
    page.keyboard.press("ArrowRight")
    expect(page.locator("[data-status]")).to_have_text(re.compile("Log-loss"))
    page.get_by_role("button", name="Find the best weights").press("Enter")
    expect(weight).to_have_value("1.0000")
    page.reload()
    expect(weight).to_have_value("1.0")
