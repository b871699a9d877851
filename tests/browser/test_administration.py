"""The administration of learning and sites, on a desk in the light and on a phone in the dark."""

from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, expect

from tests.registered import Keys

PAGES = (
    "learning/network/",
    "learning/network/1/change/",
    "learning/network/1/snapshot/",
    "learning/network/1/delete/",
    "learning/ensemble/",
    "learning/ensemble/1/change/",
    "learning/ensemble/add/",
    "learning/evaluation/",
    "learning/evaluation/1/change/",
    "learning/promotion/",
    "learning/run/add/",
    "challenges/simulation/add/",
    "sites/site/",
    "sites/site/{site}/change/",
    "sites/site/{site}/close/",
    "sites/site/{site}/delete/",
    "labelling/estimate/",
    "labelling/vote/",
    "labelling/decision/",
    "challenges/captcha/",
    "",
)


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_nothing_stands_in_the_way_of_anybody(
    scheme: str, width: int, open_context: Callable[..., BrowserContext], site: Keys
) -> None:
    page = open_context(expected=("409",), viewport={"width": width, "height": 800}, color_scheme=scheme).new_page()
    page.goto(f"/admin/login/?next=/admin/sites/site/?q={site.sitekey}")
    page.get_by_label("Username").fill("ada")
    page.get_by_label("Password").fill("correct horse")
    page.keyboard.press("Enter")
    link = page.get_by_role("link", name="Elsewhere")
    expect(link).to_be_visible()
    number = (link.get_attribute("href") or "").split("/")[4]
    for address in PAGES:
        page.goto("/admin/" + address.format(site=number))
        found = Axe().run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]})
        assert found.violations_count == 0, f"{address}: {found.generate_report()}"
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), address
    page.goto("/admin/auth/user/1/change/")  # Django's own lists to choose from; their fields are named by a title.
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.goto("/admin/sites/site/")
    box = "getComputedStyle(document.querySelector('#result_list td.action-checkbox'), '::before')"
    said = page.evaluate(f"{box}.display === 'none' ? '' : {box}.content")
    assert said == ("" if width > 1000 else '"Select"')
