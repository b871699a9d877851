"""The widget and the plain page in Firefox and in WebKit, which is Safari's engine."""

import json
import os
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator

import pytest

from tests.browser import driving
from tests.browser.driving import Window
from tests.browser.elsewhere import Elsewhere
from tests.registered import Keys

Solve = Callable[[str], str]
RECORD = """
const ask = fetch;
window.asked = [];
window.fetch = async (...given) => {
  const answer = await ask(...given);
  if (String(given[0]).endsWith("/challenges")) asked.push(await answer.clone().json());
  return answer;
};
"""
LOAD = """
const script = document.createElement("script");
script.src = arguments[0];
document.body.append(script);
"""
QUICKLY = """
const later = setTimeout;
window.setTimeout = (done, milliseconds, ...rest) => later(done, milliseconds > 60_000 ? 300 : milliseconds, ...rest);
"""
"""Let what is awaited for minutes come at once."""


@pytest.fixture(scope="module", params=["firefox", "webkit"])
def running(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Window]:
    ways = {"firefox": lambda: driving.firefox(tmp_path_factory.mktemp("profile")), "webkit": driving.webkit}
    try:
        opened = ways[request.param]()
        window = opened.__enter__()
    except LookupError as missing:
        notice = f"{missing}: apt-get install firefox-esr webkit2gtk-driver xvfb"
        if os.environ.get("CI") == "true":
            pytest.fail(notice)
        pytest.skip(notice)
    yield window
    opened.__exit__(None, None, None)


@pytest.fixture
def window(running: Window) -> Iterator[Window]:
    """A window of the browser; at the end its page may not have had anything to complain about."""
    yield running
    assert [one for one in running.run("return complaints") if "worker" not in one] == []


def inside(selector: str) -> str:
    """Return the expression for what is in the first widget of a page."""
    return f"document.querySelector('dr-captcha')?.shadowRoot?.querySelector({json.dumps(selector)})"


SAID = f"{inside('.said')}.textContent"
SOLVED = inside(".solved")


def show(window: Window, elsewhere: Elsewhere, body: str, script: str, query: str = "") -> None:
    window.go(elsewhere.address + elsewhere.add(body) + query)
    window.run(RECORD)
    window.run(LOAD, script)


def begin(window: Window) -> str:
    """Ask the widget for its challenge; return the picture's address."""
    window.click(inside("button.open"))
    window.until(inside("#answer"))
    return picture(window)


def picture(window: Window) -> str:
    return str(window.run("return asked.at(-1).image"))


def redeemed(server: str, site: Keys, response: str) -> dict[str, object]:
    fields = urllib.parse.urlencode({"secret": site.secret, "response": response}).encode()
    with urllib.request.urlopen(f"{server}/recaptcha/api/siteverify", fields) as answer:  # noqa: S310
        return dict(json.load(answer))


def test_a_visitor_fails_asks_for_another_and_passes(
    window: Window, elsewhere: Elsewhere, server: str, site: Keys, solve: Solve
) -> None:
    body = f'<form><dr-captcha sitekey="{site.sitekey}" required></dr-captcha><button>Send</button></form>'
    show(window, elsewhere, body, f"{server}/widget/v1/api.js")
    first = begin(window)
    dark = """const canvas = arguments[0];
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        return data.filter((value, i) => i % 4 === 0 && value < 100).length"""
    assert window.run(dark, window.until(inside("canvas"))) > 100
    assert window.run(f"return {inside('canvas')}.getBoundingClientRect().height") > 40
    assert not window.run("return document.forms[0].checkValidity()")

    window.click(inside(".tools button"))  # Another one.
    window.until("asked.length === 2")
    assert picture(window) != first
    window.until(f"{SAID} === ''")
    window.click(inside(".tools .wide"))  # Can't read one.
    assert window.run(f"return {inside('#answer')}.value") == "?"

    window.click(inside("button.main"))  # An answer that is wrong.
    window.until(f"{SAID} === 'That was not right. Here is another one.'")
    window.type(inside("#answer"), solve(picture(window)))
    window.click(inside("button.main"))
    window.until(SOLVED)
    assert window.run("return document.forms[0].checkValidity()")
    ((name, response),) = window.run("return [...new FormData(document.forms[0])]")
    assert name == "drcaptcha-response"
    assert redeemed(server, site, response)["success"]
    assert not window.run("return document.cookie")


def test_the_keyboard_alone_is_enough(
    window: Window, elsewhere: Elsewhere, server: str, site: Keys, solve: Solve
) -> None:
    body = f'<dr-captcha sitekey="{site.sitekey}"></dr-captcha><p><button>After</button>'
    show(window, elsewhere, body, f"{server}/widget/v1/api.js")
    window.until(inside("button.open"))
    window.press("Tab", "Enter")
    window.until(f"{inside('#answer')}?.matches(':focus')")
    window.press("Tab", "Tab", "Tab", "Tab", "Enter")
    window.until(f"{inside('#answer')}.value === '?' && {inside('#answer')}.matches(':focus')")
    window.press("Backspace", *solve(picture(window)), "Enter")
    window.until(f"{SOLVED}?.matches(':focus')")
    window.press("Tab")
    assert window.run("return document.activeElement.textContent") == "After"


@pytest.mark.parametrize("query", ["?workers", ""])
def test_the_work_is_done_under_a_strict_policy(  # noqa: PLR0917 -- Fixtures.
    query: str, window: Window, elsewhere: Elsewhere, server: str, site: Keys, solve: Solve
) -> None:
    body = f'<dr-captcha sitekey="{site.sitekey}"></dr-captcha>'
    show(window, elsewhere, body, f"{server}/widget/v1/api.js", query)
    window.run(
        "const Real = Worker; window.Worker = class extends Real { set onmessage(told) {"
        " super.onmessage = (event) => { if (event.data) window.worked = event.data; told(event) } } }"
    )
    right = solve(begin(window))
    window.type(inside("#answer"), right)
    window.press("Enter")
    window.until(SOLVED)
    assert bool(window.run("return window.worked?.length")) == bool(query)


def test_what_is_spoken_can_be_typed(
    window: Window, elsewhere: Elsewhere, server: str, site: Keys, hear: Callable[[], str]
) -> None:
    show(window, elsewhere, f'<dr-captcha sitekey="{site.sitekey}"></dr-captcha>', f"{server}/widget/v1/api.js")
    begin(window)
    window.click(inside("[aria-label='Listen instead']"))
    window.until(inside("[aria-label='Picture instead']"))
    assert window.run("return document.querySelector('dr-captcha').buffer.duration") > 3
    # A machine without a loudspeaker plays nothing in Firefox, which tells apart whether it would be allowed to.
    window.until(
        "((sound) => (navigator.getAutoplayPolicy?.(sound) ?? sound.state).match('allowed$|running'))"
        "(document.querySelector('dr-captcha').source.context)"
    )
    window.click(inside("[aria-label='Play again']"))
    window.type(inside("#answer"), hear())
    window.click(inside("button.main"))
    window.until(SOLVED)


def test_what_was_left_open_expires(window: Window, elsewhere: Elsewhere, server: str) -> None:
    show(window, elsewhere, '<dr-captcha sitekey="test-passes"></dr-captcha>', f"{server}/widget/v1/api.js")
    window.run(QUICKLY)
    window.run("window.told = []; addEventListener('timeout', ({ type }) => told.push(type))")
    begin(window)
    window.until(f"{SAID} === 'That was a while ago. Please show it once more.'")
    assert window.run("return [asked.length, told.length]") == [4, 4]
    window.run("window.setTimeout = (done, milliseconds) => 0")
    begin(window)
    window.type(inside("#answer"), "x")
    window.run(QUICKLY.replace("const later = setTimeout", "const later = (done) => requestAnimationFrame(done)"))
    window.click(inside("button.main"))
    window.until("drcaptcha.isExpired()")
    window.until(f"{SAID} === 'That was a while ago. Please show it once more.'")
    assert window.run("return drcaptcha.getResponse()") == ""


def test_a_page_written_for_recaptcha_sends_its_form(
    window: Window, elsewhere: Elsewhere, server: str, site: Keys, solve: Solve
) -> None:
    body = f'<form action="/"><div class="g-recaptcha" data-sitekey="{site.sitekey}"></div><button>Send</button></form>'
    static = f'<script src="{server}/recaptcha/api.js" async defer></script>'
    window.go(elsewhere.address + elsewhere.add(static + body))
    window.run(RECORD)
    right = solve(begin(window))
    window.type(inside("#answer"), right)
    window.press("Enter")
    window.until(SOLVED)
    response = window.run("return grecaptcha.getResponse()")
    window.click("document.querySelector('form > button')")
    window.until("location.search")
    assert window.run("return location.search") == "?" + urllib.parse.urlencode({"g-recaptcha-response": response})
    assert redeemed(server, site, response)["success"]
    window.go(elsewhere.address + "/")


def test_an_invisible_one_asks_in_a_window(window: Window, elsewhere: Elsewhere, server: str) -> None:
    show(window, elsewhere, "", f"{server}/recaptcha/api.js?render=test-passes")
    window.until("typeof window.grecaptcha?.execute === 'function'")
    window.run("grecaptcha.execute('test-passes', { action: 'login' }).then((told) => (window.told = told))")
    window.until(f"{inside('dialog')}?.open && {inside('#answer')}?.matches(':focus')")
    window.press("x", "Enter")
    window.until("window.told === 'test-response' && !document.querySelector('dr-captcha')")


def test_who_sends_a_form_is_asked_where_it_is_invisible(window: Window, elsewhere: Elsewhere, server: str) -> None:
    tag = '<dr-captcha sitekey="test-passes" size="invisible" required></dr-captcha>'
    body = f'<form action="/">{tag}<button>Send</button></form>'
    show(window, elsewhere, body, f"{server}/widget/v1/api.js")
    window.until("typeof window.drcaptcha?.execute === 'function'")
    window.click("document.querySelector('form > button')")
    window.until(f"{inside('#answer')}?.matches(':focus')")
    window.press("x", "Enter")
    window.until("drcaptcha.getResponse()")
    window.click("document.querySelector('form > button')")
    window.until("location.search === '?drcaptcha-response=test-response'")
    window.go(elsewhere.address + "/")


def test_arabic_runs_from_right_to_left(window: Window, elsewhere: Elsewhere, server: str) -> None:
    body = '<dr-captcha sitekey="test-passes" language="ar"></dr-captcha>'
    show(window, elsewhere, body, f"{server}/widget/v1/api.js")
    begin(window)
    place = "const {left, right} = arguments[0].getBoundingClientRect(); return [left, right]"
    box, answer, main = (window.run(place, window.until(inside(one))) for one in (".box", "#answer", ".main"))
    assert box[0] < main[0] < main[1] < answer[0] < answer[1] < box[1]
    assert window.run(f"return {inside('#answer')}.dir") == "ltr"


def test_the_plain_page_is_a_form(window: Window, server: str, site: Keys, solve: Solve) -> None:
    window.go(f"{server}/challenge/{site.sitekey}")
    shown = window.until("document.querySelector('img')?.src")
    window.type("document.querySelector('input[name=answer]')", solve(shown))
    window.press("Enter")
    response = window.until("document.querySelector('textarea')?.value")
    assert redeemed(server, site, response)["success"]
    window.run("window.complaints = []")
