"""What clients written for other services put into a page, with another address and nothing else changed."""

import json
import subprocess
import sys
import urllib.parse
from collections.abc import Callable
from importlib.util import find_spec

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.elsewhere import Elsewhere

FORM = """
import json, sys
from django.conf import settings

asked = json.loads(sys.argv[1])
templates = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
settings.configure(INSTALLED_APPS=[asked["app"]], TEMPLATES=templates, **asked["settings"])

import django
django.setup()
from django.forms import Form
from django.utils.module_loading import import_string

field = import_string(asked["field"])
widget = {"widget": import_string(asked["widget"])()} if asked["widget"] else {}
print(type("Page", (Form,), {"captcha": field(**widget)})())
"""
RECAPTCHA = "django_recaptcha.fields.ReCaptchaField"
WIDGETS = "django_recaptcha.widgets.ReCaptcha"
IN_THE_PAGE = [
    (RECAPTCHA, f"{WIDGETS}V2Checkbox", "g-recaptcha-response"),
    ("hcaptcha.fields.hCaptchaField", "", "h-captcha-response"),
    ("turnstile.fields.TurnstileField", "", "cf-turnstile-response"),
]
IN_A_WINDOW = [
    (RECAPTCHA, f"{WIDGETS}V2Invisible", "g-recaptcha-response"),
    (RECAPTCHA, f"{WIDGETS}V3", "captcha"),
]
Show = Callable[[str, str], Page]


@pytest.fixture
def show(open_context: Callable[..., BrowserContext], elsewhere: Elsewhere, server: str) -> Show:
    """Show a form of a client on a page that allows scripts of its own, which these forms have."""

    def show_one(field: str, widget: str) -> Page:
        package = field.partition(".")[0]
        if find_spec(package) is None:
            pytest.skip(f"{package} is not installed")
        page = open_context(bypass_csp=True).new_page()
        elsewhere.show(page, f'<form action="/">{form(server, field, widget)}<button>Send</button></form>')
        return page

    return show_one


def form(server: str, field: str, widget: str) -> str:
    """Return the form that a client renders in a process of its own."""
    host = urllib.parse.urlsplit(server).netloc
    addresses = {
        "RECAPTCHA_DOMAIN": host,
        "RECAPTCHA_PUBLIC_KEY": "test-passes",
        "RECAPTCHA_PRIVATE_KEY": "test-secret-passes",
        "HCAPTCHA_JS_API_URL": f"{server}/1/api.js",
        "HCAPTCHA_SITEKEY": "test-passes",
        "TURNSTILE_JS_API_URL": f"{server}/turnstile/v0/api.js",
        "TURNSTILE_SITEKEY": "test-passes",
    }
    asked = {"app": field.partition(".")[0], "field": field, "widget": widget, "settings": addresses}
    command = [sys.executable, "-c", FORM, json.dumps(asked)]
    rendered = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return rendered.replace(f"https://{host}", server)  # It knows no other; this server has no certificate.


def sent(page: Page) -> dict[str, str]:
    """Return what the form has sent."""
    page.wait_for_url("**/?**")
    return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(page.url).query, keep_blank_values=True))


@pytest.mark.parametrize(("field", "widget", "name"), IN_THE_PAGE)
def test_a_form_of_a_client_is_sent_with_the_response(field: str, widget: str, name: str, show: Show) -> None:
    page = show(field, widget)
    place = page.locator("dr-captcha")
    place.get_by_role("button").click()
    place.get_by_role("textbox").fill("x")
    place.get_by_role("textbox").press("Enter")
    expect(place.get_by_text("You are human.")).to_be_visible()
    page.get_by_role("button", name="Send").click()
    assert sent(page)[name] == "test-response"


@pytest.mark.parametrize(("field", "widget", "name"), IN_A_WINDOW)
def test_a_form_of_a_client_asks_in_a_window_when_it_is_sent(field: str, widget: str, name: str, show: Show) -> None:
    page = show(field, widget)
    page.wait_for_function("typeof window.grecaptcha?.execute === 'function'")
    page.get_by_role("button", name="Send").click()
    box = page.get_by_role("dialog").get_by_role("textbox")
    box.fill("x")
    box.press("Enter")
    assert sent(page) == {name: "test-response"}
