"""The widget on pages of other hosts, in a browser."""

import base64
import json
import re
import sqlite3
import subprocess
import sys
import urllib.parse
import urllib.request
from collections.abc import Callable
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, Locator, Page, Response, Route, expect

from drcaptcha.widget.views import parts
from tests.browser.conftest import ROOT
from tests.browser.elsewhere import Elsewhere
from tests.registered import Keys

Open = Callable[..., BrowserContext]
Solve = Callable[[str], str]
MOST = 15_000
"""Bytes that the script and its parts may be on the wire, compressed and with their headers, at a first use."""


@pytest.fixture
def page(open_context: Open) -> Page:
    """A window as most people have it. That the page's policy lets no worker run is told in its console."""
    return open_context(viewport={"width": 1280, "height": 800}, expected=("worker",)).new_page()


def script(server: str, query: str = "") -> str:
    return f'<script src="{server}/widget/v1/api.js{query}" async defer></script>'


def begin(page: Page, widget: Locator) -> str:
    """Ask a widget for its challenge; return the picture's address."""
    with page.expect_response("**/api/v1/challenges") as asked:
        widget.get_by_role("button", name="I am human").click()
    expect(widget.get_by_role("textbox")).to_be_focused()
    return str(asked.value.json()["image"])


def until(page: Page, condition: str) -> None:
    """Wait for an expression to be true. Playwright's own way needs eval, which the page's policy forbids."""
    look = f"(turns) => ({condition}) ? done() : turns ? setTimeout(look, 20, turns - 1) : fail('never: {condition}')"
    page.evaluate(f"new Promise((done, fail) => {{ const look = {look}; look(500); }})")


def wait(page: Page, seconds: int) -> None:
    """Let the page's clock, which stands in for the real one, go on; between its seconds the network has its turn."""
    for _ in range(seconds):
        page.clock.run_for(1_000)


def redeemed(server: str, path: str, secret: str, response: str) -> dict[str, object]:
    fields = urllib.parse.urlencode({"secret": secret, "response": response}).encode()
    with urllib.request.urlopen(server + path, fields) as answer:  # noqa: S310
        return dict(json.load(answer))


def test_a_visitor_passes_on_another_host_and_the_site_redeems_it(
    page: Page, elsewhere: Elsewhere, server: str, site: Keys, solve: Solve
) -> None:
    tag = f'<dr-captcha sitekey="{site.sitekey}" data-action="login" required></dr-captcha>'
    elsewhere.show(page, f"<form>{tag}<button>Send</button></form>" + script(server))
    widget = page.locator("dr-captcha")
    right = solve(begin(page, widget))
    assert not page.evaluate("document.forms[0].checkValidity()")
    widget.get_by_role("textbox").fill(right[:-1])
    expect(widget.get_by_text(f"{len(right) - 1} of {len(right)}")).to_be_visible()
    widget.get_by_role("textbox").fill(right)
    widget.get_by_role("textbox").press("Enter")
    expect(widget.get_by_text("You are human.")).to_be_visible()
    assert page.url.startswith(elsewhere.address + "/")
    assert "?" not in page.url
    assert page.evaluate("document.forms[0].checkValidity()")
    response = page.locator("input[name=drcaptcha-response]").input_value()
    assert page.evaluate("drcaptcha.getResponse()") == response
    assert page.evaluate("[...new FormData(document.forms[0])]") == [["drcaptcha-response", response]]
    said = redeemed(server, "/recaptcha/api/siteverify", site.secret, response)
    assert (said["success"], said["hostname"], said["action"]) == (True, "localhost", "login")
    assert not redeemed(server, "/recaptcha/api/siteverify", site.secret, response)["success"]
    assert page.context.cookies() == []


def test_after_a_wrong_answer_another_picture_comes(
    page: Page, elsewhere: Elsewhere, server: str, site: Keys, solve: Solve
) -> None:
    elsewhere.show(page, f'<dr-captcha sitekey="{site.sitekey}"></dr-captcha>' + script(server))
    widget = page.locator("dr-captcha")
    right = solve(begin(page, widget))
    widget.get_by_role("textbox").fill("".join("W" if one != "W" else "7" for one in right))
    with page.expect_response("**/api/v1/challenges") as asked:
        widget.get_by_role("button", name="Check").click()
    expect(widget.get_by_role("status")).to_have_text("That was not right. Here is another one.")
    widget.get_by_role("textbox").fill(solve(asked.value.json()["image"]))
    widget.get_by_role("button", name="Check").click()
    expect(widget.get_by_text("You are human.")).to_be_visible()


def test_it_can_be_done_with_the_keyboard_alone(
    page: Page, elsewhere: Elsewhere, server: str, site: Keys, solve: Solve
) -> None:
    elsewhere.show(
        page, f'<dr-captcha sitekey="{site.sitekey}"></dr-captcha><a href="#after">After</a>' + script(server)
    )
    expect(page.locator("dr-captcha").get_by_role("button")).to_be_visible()
    page.keyboard.press("Tab")
    with page.expect_response("**/api/v1/challenges") as asked:
        page.keyboard.press("Enter")
    box = page.locator("dr-captcha").get_by_role("textbox")
    expect(box).to_be_focused()
    right = solve(asked.value.json()["image"])
    page.keyboard.type(right[:1])
    for _ in range(4):
        page.keyboard.press("Tab")
    expect(page.locator("dr-captcha").get_by_role("button", name="Can't read one")).to_be_focused()
    page.keyboard.press("Enter")
    expect(box).to_have_value(right[0] + "?")
    expect(box).to_be_focused()
    page.keyboard.press("Backspace")
    page.keyboard.type(right[1:])
    page.keyboard.press("Enter")
    expect(page.get_by_text("You are human.")).to_be_focused()
    page.keyboard.press("Tab")
    expect(page.get_by_text("After")).to_be_focused()


@pytest.mark.parametrize("theme", ["light", "dark", "contrast"])
@pytest.mark.parametrize("how", ['language="en"', 'language="ar" size="compact"'])
def test_nothing_stands_in_the_way_of_anybody(
    theme: str, how: str, open_context: Open, elsewhere: Elsewhere, server: str
) -> None:
    page = open_context(viewport={"width": 320, "height": 640}, bypass_csp=True).new_page()
    elsewhere.show(page, f'<dr-captcha sitekey="test-fails" theme="{theme}" {how}></dr-captcha>' + script(server))
    axe = Axe()

    def check() -> None:
        found = axe.run(page, options={"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]})
        assert found.violations_count == 0, found.generate_report()
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")

    check()
    page.locator("dr-captcha button").click()
    expect(page.locator("dr-captcha").get_by_role("textbox")).to_be_focused()
    check()
    page.keyboard.type("abc")
    page.keyboard.press("Enter")
    expect(page.locator("dr-captcha").get_by_role("status")).to_be_visible()
    expect(page.locator("dr-captcha").get_by_role("textbox")).to_have_value("")
    check()


def test_every_button_is_large_enough_to_hit(page: Page, elsewhere: Elsewhere, server: str) -> None:
    elsewhere.show(page, '<dr-captcha sitekey="test-passes" size="compact"></dr-captcha>' + script(server))
    begin(page, page.locator("dr-captcha"))
    for button in page.locator("dr-captcha").get_by_role("button").all():
        box = button.bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) >= 24


def test_test_keys_are_marked(page: Page, elsewhere: Elsewhere, server: str) -> None:
    elsewhere.show(page, '<dr-captcha sitekey="test-passes"></dr-captcha>' + script(server))
    begin(page, page.locator("dr-captcha"))
    expect(page.get_by_text("Test key: this protects nothing")).to_be_visible()


def test_a_closed_site_says_so(
    open_context: Open, elsewhere: Elsewhere, server: str, environment: dict[str, str]
) -> None:
    def manage(*arguments: str) -> str:
        command = [sys.executable, ROOT / "manage.py", *arguments]
        return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout

    keys = Keys(**json.loads(manage("createsite", "Closing", "--host", "localhost", "--json")))
    manage("closesite", keys.sitekey)
    page = open_context(expected=("423", "Content Security Policy")).new_page()
    elsewhere.show(page, f'<dr-captcha sitekey="{keys.sitekey}" language="de"></dr-captcha>' + script(server))
    page.evaluate("addEventListener('error', ({ detail }) => (window.told = detail), true)")
    page.locator("dr-captcha").get_by_role("button").click()
    said = page.locator("dr-captcha").get_by_role("status")
    expect(said).to_have_text("Diese Website hat ihr Captcha geschlossen.")
    assert page.evaluate("told") == "site-closed"
    manage("closesite", keys.sitekey, "--open")
    page.locator("dr-captcha").get_by_role("button").click()
    expect(page.locator("dr-captcha").get_by_role("textbox")).to_be_visible()


def test_a_page_of_a_host_that_is_not_listed_gets_nothing(
    open_context: Open, elsewhere: Elsewhere, server: str, site: Keys
) -> None:
    page = open_context(
        expected=("403", "CORS", "ERR_FAILED", "Content Security Policy", "no answer"), bypass_csp=True
    ).new_page()
    other = elsewhere.address.replace("localhost", "127.0.0.1")
    told: list[str] = []
    page.on("console", lambda message: told.append(message.text))
    page.clock.install()
    elsewhere.show(page, f'<dr-captcha sitekey="{site.sitekey}"></dr-captcha>' + script(server))
    page.goto(other + page.url.removeprefix(elsewhere.address))
    page.locator("dr-captcha").get_by_role("button").click()
    wait(page, 20)
    expect(page.locator("dr-captcha").get_by_role("status")).to_have_text("The captcha can't be reached. Try again.")
    assert told[-1] == "DrCaptcha: no answer. Does the site list this host?"


def test_a_bad_network_is_tried_again(open_context: Open, elsewhere: Elsewhere, server: str) -> None:
    page = open_context(expected=("503",)).new_page()
    fails = [503, 503]

    def unstable(route: Route) -> None:
        if route.request.method == "POST" and fails:
            route.fulfill(status=fails.pop(), headers={"Access-Control-Allow-Origin": "*"})
        else:
            route.continue_()

    page.route("**/api/v1/challenges", unstable)
    elsewhere.show(page, '<dr-captcha sitekey="test-passes"></dr-captcha>' + script(server))
    page.locator("dr-captcha").get_by_role("button").click()
    expect(page.locator("dr-captcha").get_by_role("textbox")).to_be_focused(timeout=15_000)
    assert fails == []


def test_a_second_enter_loses_nothing(page: Page, elsewhere: Elsewhere, server: str, site: Keys, solve: Solve) -> None:
    elsewhere.show(page, f'<dr-captcha sitekey="{site.sitekey}"></dr-captcha>' + script(server))
    widget = page.locator("dr-captcha")
    box = widget.get_by_role("textbox")
    right = solve(begin(page, widget))
    box.fill(right)
    box.evaluate(
        "(box) => { for (const _ of [1, 2, 3]) box.dispatchEvent("
        "new KeyboardEvent('keydown', { key: 'Enter', bubbles: true, composed: true })) }"
    )
    expect(widget.get_by_text("You are human.")).to_be_visible()


def test_another_picture_can_not_be_had_while_an_answer_is_judged(
    page: Page, elsewhere: Elsewhere, server: str
) -> None:
    held: list[Route] = []
    page.route("**/api/v1/answers", lambda route: held.append(route))  # noqa: PLW0108 -- Playwright marks it.
    elsewhere.show(page, '<dr-captcha sitekey="test-passes"></dr-captcha>' + script(server))
    widget = page.locator("dr-captcha")
    begin(page, widget)
    widget.get_by_role("textbox").fill("abcde")
    with page.expect_request("**/api/v1/answers"):
        widget.get_by_role("button", name="Check").click()
    for name in ("Another one", "Listen instead"):
        widget.get_by_role("button", name=name).click(force=True)
    held[0].continue_()
    expect(widget.get_by_text("You are human.")).to_be_visible()


def test_who_tries_too_often_keeps_the_place_and_goes_on_in_time(
    open_context: Open, elsewhere: Elsewhere, server: str
) -> None:
    page = open_context(expected=("429", "worker")).new_page()
    page.clock.install()
    told = {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "Retry-After", "Retry-After": "7"}
    page.route("**/api/v1/challenges", lambda route: route.fulfill(status=429, headers=told), times=1)
    elsewhere.show(page, '<dr-captcha sitekey="test-passes"></dr-captcha>' + script(server))
    widget = page.locator("dr-captcha")
    button = widget.get_by_role("button", name="I am human")
    button.press("Enter")
    expect(widget.get_by_role("status")).to_have_text("Too many tries. Wait 7 seconds, then try again.")
    expect(button).to_be_focused()
    expect(button).to_be_disabled()
    page.keyboard.press("Enter")
    expect(button).to_be_focused()
    page.clock.run_for(7_000)
    page.keyboard.press("Enter")
    expect(widget.get_by_role("textbox")).to_be_focused()


def test_who_comes_back_to_a_page_finds_no_response_that_was_sent(
    page: Page, elsewhere: Elsewhere, server: str
) -> None:
    elsewhere.show(page, '<dr-captcha sitekey="test-passes"></dr-captcha>' + script(server))
    widget = page.locator("dr-captcha")
    begin(page, widget)
    widget.get_by_role("textbox").fill("x")
    widget.get_by_role("textbox").press("Enter")
    expect(widget.get_by_text("You are human.")).to_be_visible()
    page.evaluate("void dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    expect(widget.get_by_role("button", name="I am human")).to_be_visible()
    assert page.evaluate("drcaptcha.getResponse()") == ""


def test_what_was_typed_outlasts_a_network_that_fails(open_context: Open, elsewhere: Elsewhere, server: str) -> None:
    page = open_context(expected=("ERR_", "worker", "no answer")).new_page()
    page.clock.install()
    page.route("**/api/v1/answers", lambda route: route.abort())
    tag = '<dr-captcha sitekey="test-passes"></dr-captcha>'
    elsewhere.show(page, tag + script(server))
    widget = page.locator("dr-captcha")
    begin(page, widget)
    box = widget.get_by_role("textbox")
    box.fill("abcde")
    box.press("Enter")
    wait(page, 20)
    expect(widget.get_by_role("status")).to_have_text("The captcha can't be reached. Try again.")
    expect(box).to_have_value("abcde")
    page.unroute("**/api/v1/answers")
    box.press("Enter")
    expect(widget.get_by_text("You are human.")).to_be_visible()


def test_the_script_is_loaded_again_where_a_part_of_it_failed(
    open_context: Open, elsewhere: Elsewhere, server: str
) -> None:
    page = open_context(expected=("ERR_FAILED",)).new_page()
    page.route(re.compile("/element.js$"), lambda route: route.abort())
    elsewhere.show(page, '<dr-captcha sitekey="test-passes"></dr-captcha>' + script(server))
    expect(page.locator("dr-captcha").get_by_role("button", name="I am human")).to_be_visible()


def test_where_nobody_is_at_it_a_challenge_is_not_renewed_for_ever(
    page: Page, elsewhere: Elsewhere, server: str
) -> None:
    page.clock.install()
    elsewhere.show(page, '<dr-captcha sitekey="test-passes"></dr-captcha>' + script(server))
    widget = page.locator("dr-captcha")
    begin(page, widget)
    for _ in range(3):
        with page.expect_response("**/api/v1/challenges"):
            page.clock.fast_forward(301_000)
        expect(widget.get_by_role("status")).to_have_text("The time was over. Here is another one.")
    page.clock.fast_forward(301_000)
    expect(widget.get_by_role("button", name="I am human")).to_be_visible()


def test_it_follows_when_the_system_goes_dark(page: Page, elsewhere: Elsewhere, server: str) -> None:
    elsewhere.show(page, '<dr-captcha sitekey="test-passes"></dr-captcha>' + script(server))
    box = page.locator("dr-captcha .box")
    expect(box).to_have_css("background-color", "rgb(255, 255, 255)")
    page.emulate_media(color_scheme="dark")
    expect(box).to_have_css("background-color", "rgb(27, 33, 44)")


def test_a_place_may_be_filled_before_it_is_in_the_page_and_moved_after(
    page: Page, elsewhere: Elsewhere, server: str
) -> None:
    elsewhere.show(
        page, f'<main id="here"></main><script src="{server}/recaptcha/api.js?render=explicit" async></script>'
    )
    until(page, "window.grecaptcha?.render")
    ids = page.evaluate(
        "[1, 2].map(() => { const place = document.createElement('div');"
        " const id = grecaptcha.render(place, { sitekey: 'test-passes' }); here.append(place); return id; })"
    )
    assert ids == [0, 1]
    second = page.locator("dr-captcha").nth(1)
    begin(page, second)
    second.get_by_role("textbox").fill("x")
    second.get_by_role("textbox").press("Enter")
    expect(second.get_by_text("You are human.")).to_be_visible()
    page.evaluate("here.firstElementChild.remove()")
    page.evaluate("here.append(here.firstElementChild)")
    assert page.evaluate("[grecaptcha.getResponse(0), grecaptcha.getResponse(1), grecaptcha.getResponse()]") == [
        "",
        "test-response",
        "test-response",
    ]


def test_a_response_that_nobody_used_expires(page: Page, elsewhere: Elsewhere, server: str) -> None:
    page.clock.install()
    page.add_init_script("onexpired = () => { window.told = true }")
    tag = '<dr-captcha sitekey="test-passes" data-expired-callback="onexpired"></dr-captcha>'
    elsewhere.show(page, tag + script(server))
    widget = page.locator("dr-captcha")
    begin(page, widget)
    widget.get_by_role("textbox").fill("x")
    widget.get_by_role("button", name="Check").click()
    expect(widget.get_by_text("You are human.")).to_be_visible()
    assert not page.evaluate("drcaptcha.isExpired()")
    page.clock.fast_forward(121_000)
    expect(widget.get_by_role("status")).to_have_text("That was a while ago. Please show it once more.")
    assert page.evaluate("[drcaptcha.isExpired(), drcaptcha.getResponse(), told]") == [True, "", True]


def test_a_challenge_that_took_too_long_is_renewed(page: Page, elsewhere: Elsewhere, server: str) -> None:
    page.clock.install()
    elsewhere.show(page, '<dr-captcha sitekey="test-passes"></dr-captcha>' + script(server))
    widget = page.locator("dr-captcha")
    begin(page, widget)
    with page.expect_response("**/api/v1/challenges"):
        page.clock.fast_forward(301_000)
    expect(widget.get_by_role("status")).to_have_text("The time was over. Here is another one.")


def test_a_page_renders_several_resets_and_removes_them(page: Page, elsewhere: Elsewhere, server: str) -> None:
    page.add_init_script(
        "begun = () => { window.ids = ['a', 'b'].map((id) => drcaptcha.render(id, { sitekey: 'test-passes' })) }"
    )
    elsewhere.show(page, '<div id="a"></div><div id="b"></div>' + script(server, "?render=explicit&onload=begun&hl=de"))
    widgets = page.locator("dr-captcha")
    expect(widgets).to_have_count(2)
    second = widgets.nth(1)
    second.get_by_role("button", name="Ich bin ein Mensch").click()
    second.get_by_role("textbox").fill("x")
    second.get_by_role("button", name="Prüfen").click()
    expect(second.get_by_text("Sie sind ein Mensch.")).to_be_visible()
    assert page.evaluate("ids.map((id) => drcaptcha.getResponse(id))") == ["", "test-response"]
    page.evaluate("drcaptcha.reset(ids[1])")
    expect(second.get_by_role("button", name="Ich bin ein Mensch")).to_be_visible()
    page.evaluate("drcaptcha.remove(ids[0])")
    expect(widgets).to_have_count(1)


def test_a_visitor_who_hears_passes_too(
    page: Page, elsewhere: Elsewhere, server: str, site: Keys, environment: dict[str, str]
) -> None:
    elsewhere.show(page, f'<dr-captcha sitekey="{site.sitekey}"></dr-captcha>' + script(server))
    widget = page.locator("dr-captcha")
    begin(page, widget)
    with page.expect_response("**/api/v1/challenges") as asked:
        widget.get_by_role("button", name="Listen instead").click()
    box = widget.get_by_label("Type the 6 characters that you hear")
    expect(box).to_be_focused()
    sound = base64.b64decode(asked.value.json()["audio"].partition(",")[2])
    length = page.evaluate("document.querySelector('dr-captcha').buffer.duration")
    assert length == pytest.approx((len(sound) - 44) / 11_025, abs=0.05)
    again = widget.get_by_role("button", name="Play again")
    for _ in range(3):
        again.click()
    expect(again).to_be_disabled()
    with closing(sqlite3.connect(Path(environment["DRCAPTCHA_STATE"]) / "drcaptcha.sqlite3")) as db:
        (content,) = db.execute("select content from challenges_captcha order by id desc limit 1").fetchone()
    box.fill(json.loads(content)["spoken"])
    box.press("Enter")
    expect(widget.get_by_text("You are human.")).to_be_visible()


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/recaptcha/api.js", "g-recaptcha"),
        ("/widget/v1/api.js?compat=recaptcha", "g-recaptcha"),
        ("/1/api.js", "h-captcha"),
        ("/turnstile/v0/api.js", "cf-turnstile"),
    ],
)
def test_pages_written_for_other_services_work(  # noqa: PLR0917 -- Fixtures.
    path: str, place: str, page: Page, elsewhere: Elsewhere, server: str, site: Keys, solve: Solve
) -> None:
    page.add_init_script("done = (response) => { window.told = response }")
    form = f'<form><div class="{place}" data-sitekey="{site.sitekey}" data-callback="done"></div></form>'
    elsewhere.show(page, f'{form}<script src="{server}{path}" async defer></script>')
    widget = page.locator("dr-captcha")
    widget.get_by_role("textbox")
    right = solve(begin(page, widget))
    widget.get_by_role("textbox").fill(right)
    widget.get_by_role("button", name="Check").click()
    expect(widget.get_by_text("You are human.")).to_be_visible()
    response = page.locator(f"input[name={place}-response]").input_value()
    assert response
    assert page.evaluate("told") == response
    name = {"g": "grecaptcha", "h": "hcaptcha", "c": "turnstile"}[place[0]]
    assert page.evaluate(f"{name}.getResponse()") == response


FOR_RECAPTCHA = """<form action="/">
  <input name="email" aria-label="Email" value="ada@example.org">
  <script src="https://www.google.com/recaptcha/api.js" async defer></script>
  <div class="g-recaptcha" data-sitekey="6LeAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"></div>
  <button>Subscribe</button>
</form>"""


def test_two_lines_move_a_page_written_for_recaptcha_over(
    page: Page, elsewhere: Elsewhere, server: str, site: Keys, solve: Solve
) -> None:
    ours = FOR_RECAPTCHA.replace("https://www.google.com/", server + "/")
    ours = re.sub(r'data-sitekey="\w+"', f'data-sitekey="{site.sitekey}"', ours)
    before, after = FOR_RECAPTCHA.splitlines(), ours.splitlines()
    assert sum(one != other for one, other in zip(before, after, strict=True)) == 2
    elsewhere.show(page, ours)
    widget = page.locator("dr-captcha")
    right = solve(begin(page, widget))
    widget.get_by_role("textbox").fill(right)
    widget.get_by_role("textbox").press("Enter")
    expect(widget.get_by_text("You are human.")).to_be_visible()
    page.get_by_role("button", name="Subscribe").click()
    page.wait_for_url("**/?*")
    sent = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(page.url).query))
    assert sent.keys() == {"email", "g-recaptcha-response"}
    said = redeemed(server, "/recaptcha/api/siteverify", site.secret, sent["g-recaptcha-response"])
    assert (said["success"], said["hostname"]) == (True, "localhost")


def test_a_page_of_version_3_asks_in_a_window(page: Page, elsewhere: Elsewhere, server: str) -> None:
    elsewhere.show(page, f'<script src="{server}/recaptcha/api.js?render=test-passes" async defer></script>')
    until(page, "window.grecaptcha?.execute")
    page.evaluate("void grecaptcha.execute('test-passes', {action: 'login'}).then((told) => { window.told = told })")
    window = page.get_by_role("dialog")
    window.get_by_role("textbox").fill("x")
    window.get_by_role("textbox").press("Enter")
    until(page, "window.told")
    assert page.evaluate("told") == "test-response"
    expect(page.locator("dr-captcha")).to_have_count(0)


GOOGLES = """<script>
if (typeof grecaptcha === "undefined") grecaptcha = {};
grecaptcha.ready = function (callback) {
  if (typeof grecaptcha.execute === "undefined") {
    window.___grecaptcha_cfg = window.___grecaptcha_cfg || {};
    (window.___grecaptcha_cfg.fns = window.___grecaptcha_cfg.fns || []).push(callback);
  } else callback();
};
grecaptcha.ready(() => { window.told = typeof grecaptcha.execute });
</script>"""


def test_what_a_page_for_recaptcha_asked_to_be_told_beforehand_is_told(
    open_context: Open, elsewhere: Elsewhere, server: str
) -> None:
    page = open_context(bypass_csp=True).new_page()
    elsewhere.show(page, f'{GOOGLES}<script src="{server}/recaptcha/api.js?render=explicit" async defer></script>')
    until(page, "window.told")
    assert page.evaluate("told") == "function"


@pytest.mark.parametrize(("path", "name"), [("/turnstile/v0/api.js", "turnstile"), ("/1/api.js", "hcaptcha")])
def test_a_page_may_render_as_soon_as_the_script_was_read(
    path: str, name: str, open_context: Open, elsewhere: Elsewhere, server: str
) -> None:
    page = open_context(bypass_csp=True).new_page()
    at_once = f"<script>id = {name}.render('#place', {{ sitekey: 'test-passes' }})</script>"
    source = f'<script src="{server}{path}?render=explicit"></script>'
    elsewhere.show(page, f'<div id="place"></div>{source}{at_once}')
    widget = page.locator("dr-captcha")
    begin(page, widget)
    widget.get_by_role("textbox").fill("x")
    widget.get_by_role("textbox").press("Enter")
    expect(widget.get_by_text("You are human.")).to_be_visible()
    assert page.evaluate(f"{name}.getResponse(id)") == "test-response"


def test_a_window_that_is_closed_says_so(page: Page, elsewhere: Elsewhere, server: str) -> None:
    elsewhere.show(page, f'<script src="{server}/recaptcha/api.js?render=test-passes" async defer></script>')
    until(page, "window.grecaptcha?.execute")
    page.evaluate(
        "void grecaptcha.execute('test-passes', {action: 'login'}).catch((error) => { window.told = error.message })"
    )
    expect(page.get_by_role("dialog").get_by_role("textbox")).to_be_visible()
    page.keyboard.press("Escape")
    until(page, "window.told")
    assert page.evaluate("told") == "challenge-closed"


BUTTONS = ['<button id="send">Send</button>', '<input id="send" type="submit" value="Send">']


@pytest.mark.parametrize("button", BUTTONS)
@pytest.mark.parametrize(("path", "name"), [("/recaptcha/api.js", "grecaptcha"), ("/1/api.js", "hcaptcha")])
def test_a_button_into_which_a_page_renders_asks_when_it_is_pressed(  # noqa: PLR0917 -- Fixtures.
    path: str, name: str, button: str, page: Page, elsewhere: Elsewhere, server: str
) -> None:
    bound = f"{name}.render('send', {{ sitekey: 'test-passes', callback: (response) => {{ window.told = response }} }})"
    page.add_init_script(f"begun = () => {{ window.id = {bound} }}")
    source = f'<script src="{server}{path}?render=explicit&onload=begun" async defer></script>'
    elsewhere.show(page, f"<form>{button}</form>{source}")
    until(page, "window.id !== undefined")
    page.get_by_role("button", name="Send").click()
    window = page.get_by_role("dialog")
    window.get_by_role("textbox").fill("x")
    window.get_by_role("textbox").press("Enter")
    until(page, "window.told")
    assert page.evaluate(f"[told, {name}.getResponse(id), location.search]") == ["test-response", "test-response", ""]
    page.evaluate(f"{name}.remove(id)" if name == "hcaptcha" else "document.querySelector('dr-captcha').remove()")
    page.get_by_role("button", name="Send").click()
    page.wait_for_url("**?")


def test_a_marked_button_says_what_went_wrong(open_context: Open, elsewhere: Elsewhere, server: str) -> None:
    page = open_context(expected=("404",)).new_page()
    page.add_init_script("wrong = (code) => { window.told = code }")
    button = '<button class="g-recaptcha" data-sitekey="unknown" data-error-callback="wrong">Send</button>'
    elsewhere.show(page, f'<form>{button}</form><script src="{server}/recaptcha/api.js" async defer></script>')
    until(page, 'document.querySelector("dr-captcha")')
    page.get_by_role("button", name="Send").click()
    until(page, "window.told")
    assert page.evaluate("told") == "unknown-sitekey"


@pytest.mark.parametrize("ends", ["reset", "remove"])
def test_what_waits_for_a_response_hears_that_none_comes(
    ends: str, page: Page, elsewhere: Elsewhere, server: str
) -> None:
    elsewhere.show(page, f'<div id="a"></div>{script(server, "?render=explicit")}')
    until(page, "window.drcaptcha?.render")
    page.evaluate("id = drcaptcha.render('a', { sitekey: 'test-passes', size: 'invisible' })")
    page.evaluate("void drcaptcha.execute(id).catch((error) => { window.told = error.message })")
    expect(page.get_by_role("dialog").get_by_role("textbox")).to_be_visible()
    page.evaluate(f"drcaptcha.{ends}(id)")
    until(page, "window.told")
    assert page.evaluate("told") == "challenge-closed"
    expect(page.get_by_role("dialog")).to_have_count(0)


def test_a_window_says_that_it_was_closed_only_where_the_visitor_closed_it(
    page: Page, elsewhere: Elsewhere, server: str
) -> None:
    options = """{ sitekey: 'test-passes', size: 'invisible', 'close-callback': () => told.push('closed'),
        callback: () => { told.push('passed'); hcaptcha.reset(id) } }"""
    page.add_init_script(f"told = []; begun = () => {{ window.id = hcaptcha.render('a', {options}) }}")
    source = f'<script src="{server}/1/api.js?render=explicit&onload=begun" async defer></script>'
    elsewhere.show(page, f'<div id="a"></div>{source}')
    window = page.get_by_role("dialog")
    until(page, "window.id")
    for _ in range(2):
        page.evaluate("hcaptcha.execute(id)")
        window.get_by_role("textbox").fill("x")
        window.get_by_role("textbox").press("Enter")
        expect(window).to_have_count(0)
    page.evaluate("hcaptcha.execute(id)")
    expect(window.get_by_role("textbox")).to_be_visible()
    page.keyboard.press("Escape")
    until(page, "told.length > 2")
    assert page.evaluate("told") == ["passed", "passed", "closed"]


def test_work_is_done_in_a_worker_and_without_one(open_context: Open, elsewhere: Elsewhere, server: str) -> None:
    work = {"salt": "of a test", "bits": 10, "count": 4}
    for bypass in (True, False):  # The page's own policy lets no worker run.
        context = open_context(bypass_csp=bypass, expected=() if bypass else ("worker", "Content Security Policy"))
        page = context.new_page()
        elsewhere.show(page, "")
        found = page.evaluate(f"import('{server}/widget/v1/work.js').then(({{solve}}) => solve({json.dumps(work)}))")
        assert len(found) == work["count"]
        for i, n in enumerate(found):
            assert sha256(f"{work['salt']}:{i}:{n}".encode()).digest()[0] == 0


def test_little_is_transferred(page: Page, elsewhere: Elsewhere, server: str) -> None:
    loaded: dict[str, Response] = {}

    def note(response: Response) -> None:
        name = re.sub("^/widget/v1/([0-9a-f]{12}/)?", "", urllib.parse.urlsplit(response.url).path)
        if name in parts():
            assert response.headers["content-encoding"] == "gzip"
            loaded[name] = response

    page.on("response", note)
    elsewhere.show(page, '<dr-captcha sitekey="test-passes" language="ar"></dr-captcha>' + script(server))
    with page.expect_response("**/work.js"):
        page.locator("dr-captcha").get_by_role("button").click()
    expect(page.locator("dr-captcha").get_by_role("textbox")).to_be_focused()
    assert {"api.js", "element.js", "style.js", "work.js", "languages/ar.json"} <= loaded.keys()
    sizes = [response.request.sizes() for response in loaded.values()]
    assert sum(size["responseBodySize"] + size["responseHeadersSize"] for size in sizes) < MOST


def test_all_languages_are_whole(page: Page, elsewhere: Elsewhere, server: str) -> None:
    elsewhere.show(page, "")
    english = page.evaluate(f"import('{server}/widget/v1/element.js').then((element) => element.ENGLISH)")
    languages = {name: json.loads(part.content) for name, part in parts().items() if name.startswith("languages/")}
    assert len(languages) >= 12
    for name, texts in languages.items():
        assert texts.keys() == english.keys(), name
        for key, text in texts.items():
            assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", english[key])), (name, key)


def test_a_copy_of_the_page_sends_one_response(page: Page, elsewhere: Elsewhere, server: str) -> None:
    """As frameworks do that keep a page and put it back."""
    elsewhere.show(page, '<form><dr-captcha sitekey="test-passes"></dr-captcha></form>' + script(server))
    widget = page.locator("dr-captcha")
    for _ in range(2):
        begin(page, widget)
        widget.get_by_role("textbox").fill("x")
        widget.get_by_role("textbox").press("Enter")
        expect(widget.get_by_text("You are human.")).to_be_visible()
        assert page.evaluate("[...new FormData(document.forms[0])]") == [["drcaptcha-response", "test-response"]]
        page.evaluate("document.forms[0].replaceWith(document.forms[0].cloneNode(true))")
        assert page.evaluate("[...new FormData(document.forms[0])]") == [["drcaptcha-response", ""]]


@pytest.mark.parametrize("failures", [1, 4])
def test_the_part_that_works_is_loaded_again_where_that_failed(  # noqa: PLR0917 -- Fixtures.
    failures: int, open_context: Open, elsewhere: Elsewhere, server: str, site: Keys, solve: Solve
) -> None:
    page = open_context(expected=("ERR_FAILED", "worker")).new_page()
    page.clock.install()
    page.route(re.compile(r"/work\.js(\?\d)?$"), lambda route: route.abort(), times=failures)
    elsewhere.show(page, f'<dr-captcha sitekey="{site.sitekey}"></dr-captcha>' + script(server))
    widget = page.locator("dr-captcha")
    box = widget.get_by_role("textbox")
    right = solve(begin(page, widget))
    wait(page, 8)
    box.fill(right)
    box.press("Enter")
    if failures == 4:
        expect(widget.get_by_role("status")).to_have_text("The captcha can't be reached. Try again.")
        expect(box).to_have_value(right)
        box.press("Enter")
    page.clock.resume()
    expect(widget.get_by_text("You are human.")).to_be_visible()


def test_sending_a_form_asks_in_a_window_where_it_is_required(page: Page, elsewhere: Elsewhere, server: str) -> None:
    tag = '<dr-captcha sitekey="test-passes" size="invisible" required></dr-captcha>'
    elsewhere.show(page, f'<form action="/">{tag}<button>Send</button></form>' + script(server))
    until(page, "window.drcaptcha?.execute")
    assert not page.evaluate("document.forms[0].checkValidity()")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.get_by_role("button", name="Send").click()
    box = page.get_by_role("dialog").get_by_role("textbox")
    expect(box).to_be_focused()
    page.keyboard.press("Escape")
    page.get_by_role("button", name="Send").click()
    box.fill("x")
    box.press("Enter")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(page.get_by_role("button", name="Send")).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url("**/?drcaptcha-response=test-response")


def test_a_form_that_is_reset_asks_anew_and_is_silent(page: Page, elsewhere: Elsewhere, server: str) -> None:
    tag = '<dr-captcha sitekey="test-passes" required></dr-captcha>'
    elsewhere.show(page, f"<form>{tag}<button type=reset>Empty</button></form>" + script(server))
    widget = page.locator("dr-captcha")
    begin(page, widget)
    widget.get_by_role("textbox").fill("x")
    widget.get_by_role("textbox").press("Enter")
    expect(widget.get_by_text("You are human.")).to_be_visible()
    page.get_by_role("button", name="Empty").click()
    assert page.evaluate("[document.forms[0].checkValidity(), drcaptcha.getResponse()]") == [False, ""]
    begin(page, widget)
    widget.get_by_role("button", name="Listen instead").click()
    expect(widget.get_by_role("button", name="Play again")).to_be_visible()
    page.evaluate(
        "(({ source }) => source.addEventListener('ended', () => { window.silent = source.context.currentTime }))"
        "(document.querySelector('dr-captcha'))"
    )
    page.get_by_role("button", name="Empty").click()
    expect(widget.get_by_role("button", name="I am human")).to_be_visible()
    until(page, "window.silent")
    assert page.evaluate("silent") < 3, "all of it takes six seconds"


@pytest.mark.parametrize("how", ['sitekey="test-passes"', 'class="h-captcha" data-sitekey="test-passes"'])
def test_a_form_inside_a_shadow_root_is_filled(how: str, open_context: Open, elsewhere: Elsewhere, server: str) -> None:
    page = open_context(expected=("worker",)).new_page()
    elsewhere.show(page, f'<div id="host"></div><script src="{server}/1/api.js" async defer></script>')
    page.evaluate(
        """(how) => { const root = host.attachShadow({ mode: "open" });
        const tag = how.startsWith("class") ? "div" : "dr-captcha";
        root.innerHTML = `<form><${tag} ${how}></${tag}></form>`; }""",
        how,
    )
    until(page, "customElements.get(`dr-captcha`)")
    if how.startswith("class"):  # What is no element of its own has to be given to render.
        page.evaluate("hcaptcha.render(host.shadowRoot.querySelector('.h-captcha'), { sitekey: 'test-passes' })")
    widget = page.locator("dr-captcha")
    begin(page, widget)
    widget.get_by_role("textbox").fill("x")
    widget.get_by_role("textbox").press("Enter")
    expect(widget.get_by_text("You are human.")).to_be_visible()
    sent = page.evaluate("[...new FormData(host.shadowRoot.querySelector('form')).values()]")
    assert set(sent) == {"test-response"}


def test_without_a_site_key_it_says_so(page: Page, elsewhere: Elsewhere, server: str) -> None:
    elsewhere.show(page, "<dr-captcha></dr-captcha>" + script(server))
    page.evaluate("addEventListener('error', ({ detail }) => (window.told = detail), true)")
    page.locator("dr-captcha").get_by_role("button").click()
    said = page.locator("dr-captcha").get_by_role("status")
    expect(said).to_have_text("This page can't use the captcha: it has no sitekey.")
    assert page.evaluate("told") == "missing-sitekey"


def test_the_looks_of_the_text_around_it_are_not_its_own(open_context: Open, elsewhere: Elsewhere, server: str) -> None:
    page = open_context(bypass_csp=True).new_page()
    around = "width: 12rem; text-transform: uppercase; white-space: nowrap; text-indent: 3rem"
    elsewhere.show(
        page, f'<div style="{around}"><dr-captcha sitekey="test-passes"></dr-captcha></div>' + script(server)
    )
    begin(page, page.locator("dr-captcha"))
    label = page.locator("dr-captcha label")
    for name, wanted in (("text-transform", "none"), ("white-space", "normal"), ("text-indent", "0px")):
        expect(label).to_have_css(name, wanted)
    assert page.evaluate(
        "(({ scrollWidth, offsetWidth }) => scrollWidth <= offsetWidth)(document.querySelector('dr-captcha'))"
    )
