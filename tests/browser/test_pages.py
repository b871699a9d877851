"""Every page: sound, quiet, and fit for small windows and dark rooms."""

from collections.abc import Callable

import pytest
from playwright.sync_api import BrowserContext, Page, expect

PAGES = ("/", "/methodology", "/test-captcha", "/canvas", "/api-docs", "/no-such-page")

FAINT_TEXT = """
() => {
  const channels = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) =>
    [r, g, b]
      .map((c) => c / 255)
      .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
      .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = channels(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] > 0) return colour;
    }
    throw new Error("nothing is painted behind " + element.outerHTML);
  };
  const faint = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !element.checkVisibility()) continue;
    if (element.closest(":disabled, title, desc")) continue;
    const style = getComputedStyle(element);
    const ink = element instanceof SVGElement ? style.fill : style.color;
    const [dim, bright] = [light(channels(ink)), light(ground(element))].sort((a, b) => a - b);
    const contrast = (bright + 0.05) / (dim + 0.05);
    if (contrast < 4.5) faint.push(`${contrast.toFixed(2)}: ${walker.currentNode.data.trim()}`);
  }
  return faint;
}
"""
"""Texts whose contrast is below what WCAG 2.2 AA (1.4.3) asks of small ones."""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_pages_fit_and_can_be_read(width: int, scheme: str, open_context: Callable[..., BrowserContext]) -> None:
    viewport = {"width": width, "height": 740}
    page = open_context(viewport=viewport, color_scheme=scheme, expected=("404 (Not Found)",)).new_page()
    for path in PAGES:
        response = page.goto(path)
        assert response is not None
        assert "default-src 'self'" in response.headers["content-security-policy"]
        page.wait_for_load_state("networkidle")
        assert page.evaluate("document.documentElement.scrollWidth") <= width, f"{path} scrolls sideways"
        assert page.evaluate(FAINT_TEXT) == [], path
        assert page.locator("h1").count() == 1
        assert page.evaluate("[...document.images].filter((i) => i.src && !i.naturalWidth).length") == 0


def test_night_and_day_look_different(open_context: Callable[..., BrowserContext]) -> None:
    grounds = set()
    for scheme in ("light", "dark"):
        page = open_context(color_scheme=scheme).new_page()
        page.goto("/methodology")
        grounds.add(page.evaluate("getComputedStyle(document.documentElement).backgroundColor"))
    assert len(grounds) == 2


def test_the_keyboard_reaches_everything_and_shows_where_it_is(page: Page) -> None:
    page.goto("/test-captcha")
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the content")).to_be_in_viewport()
    page.keyboard.press("Enter")
    reached = []
    for _ in range(5):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.innerText.trim() || document.activeElement.name"))
        assert page.evaluate(
            "(({outlineStyle, boxShadow}) => outlineStyle !== 'none' || boxShadow !== 'none')"
            "(getComputedStyle(document.activeElement))"
        )
    assert reached == ["answer", "Check", "New picture", "Listen instead", "The method in full"]


def test_nothing_moves_for_those_who_asked_for_rest(open_context: Callable[..., BrowserContext]) -> None:
    page = open_context(reduced_motion="reduce").new_page()
    page.goto("/canvas")
    times = page.evaluate("[...document.querySelectorAll('*')].map((e) => getComputedStyle(e).transitionDuration)")
    assert set(times) == {"0s"}


def test_lines_of_the_api_can_be_copied(open_context: Callable[..., BrowserContext], server: str) -> None:
    page = open_context(permissions=["clipboard-read", "clipboard-write"]).new_page()
    page.goto("/api-docs")
    page.locator("[id='post-api-v1-predictions'] [data-copy]").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == f"curl {server}/api/v1/predictions -F image=@letter.png"
