"""The policy that responses carry."""

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory
from pytest_django import Settings

from drcaptcha.pages.middleware import POLICY, content_security_policy


def respond(path: str, *, status: int = 200, policy: str | None = None) -> HttpResponse:
    def view(request: HttpRequest) -> HttpResponse:
        headers = {"Content-Security-Policy": policy} if policy else {}
        return HttpResponse(status=status, headers=headers)

    return content_security_policy(view)(RequestFactory().get(path))


@pytest.mark.parametrize("path", ["/", "/test-captcha", "/api/openapi.json", "/administrators", "/no-such-page"])
def test_pages_carry_the_policy(path: str) -> None:
    assert respond(path)["Content-Security-Policy"] == POLICY


def test_the_administration_does_not() -> None:
    assert "Content-Security-Policy" not in respond("/admin/glyphs/glyph/")


def test_a_stricter_policy_of_a_view_stands() -> None:
    assert respond("/", policy="default-src 'none'")["Content-Security-Policy"] == "default-src 'none'"


def test_the_developers_error_page_keeps_its_scripts(settings: Settings) -> None:
    settings.DEBUG = True
    assert "Content-Security-Policy" not in respond("/", status=500)
    assert "Content-Security-Policy" in respond("/", status=200)
