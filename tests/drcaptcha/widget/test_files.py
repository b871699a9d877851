"""The files of the widget, as browsers and caches between see them."""

import re
from http import HTTPStatus

import pytest
from django.test import Client

SCRIPTS = ["/widget/v1/api.js", "/recaptcha/api.js", "/recaptcha/enterprise.js", "/1/api.js", "/turnstile/v0/api.js"]


@pytest.fixture
def version(client: Client) -> str:
    """The version that the script names."""
    found = re.search(r'VERSION = "([0-9a-f]{12})/"', client.get(SCRIPTS[0]).content.decode())
    assert found
    return found[1]


@pytest.mark.parametrize("path", SCRIPTS)
def test_pages_of_any_origin_load_the_script(path: str, client: Client) -> None:
    answer = client.get(path, {"render": "explicit"})
    assert answer["Content-Type"] == "text/javascript; charset=utf-8"
    assert answer["Access-Control-Allow-Origin"] == "*"
    assert answer["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert not answer.cookies


def test_the_script_is_asked_for_again_after_an_hour_and_not_sent_twice(client: Client) -> None:
    answer = client.get(SCRIPTS[0])
    assert answer["Cache-Control"] == "public, max-age=3600"
    again = client.get(SCRIPTS[0], headers={"if-none-match": answer["ETag"]})
    assert (again.status_code, again.content) == (HTTPStatus.NOT_MODIFIED, b"")


@pytest.mark.parametrize("name", ["element.js", "style.js", "work.js", "compat.js", "languages/ar.json"])
def test_parts_are_kept_for_a_year_under_their_version_alone(name: str, client: Client, version: str) -> None:
    lasting = client.get(f"/widget/v1/{version}/{name}")
    assert lasting["Cache-Control"] == "public, max-age=31536000, immutable"
    for other in ("", "0123456789ab/"):
        answer = client.get(f"/widget/v1/{other}{name}")
        assert answer["Cache-Control"] == "public, max-age=3600"
        assert answer.content == lasting.content


@pytest.mark.parametrize(
    "name", ["", "v1/api.js", "../views.py", "..%2fviews.py", "element.ts", "languages", "0123456789ab/"]
)
def test_there_is_nothing_else(name: str, client: Client) -> None:
    assert client.get(f"/widget/v1/{name}").status_code == HTTPStatus.NOT_FOUND
