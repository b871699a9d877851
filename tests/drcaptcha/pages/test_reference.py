"""The API's document, laid out for people."""

import pytest
from django.test import Client

from drcaptcha.api.views import api
from drcaptcha.pages import reference
from drcaptcha.pages.reference import Endpoint

ORIGIN = "https://captcha.example"


@pytest.fixture
def endpoints() -> dict[str, Endpoint]:
    groups = reference.groups(api.get_openapi_schema(), ORIGIN)
    return {endpoint.path: endpoint for group in groups.values() for endpoint in group}


def test_every_call_of_the_document_is_there(endpoints: dict[str, Endpoint]) -> None:
    assert set(endpoints) == set(api.get_openapi_schema()["paths"])
    assert {"/api/v1/challenges", "/api/v1/answers", "/api/v1/predictions"} <= set(endpoints)
    assert {"/api/get-captcha", "/api/test-captcha"} <= set(endpoints)


def test_a_call_tells_what_it_takes_and_gives(endpoints: dict[str, Endpoint]) -> None:
    answers = endpoints["/api/v1/answers"]
    assert answers.verb == "POST"
    assert [(field.name, field.kind, field.required) for field in answers.takes] == [
        ("challenge", "string", True),
        ("answer", "string", True),
        ("work", "list of integers or null", False),
    ]
    assert [(field.name, field.kind) for field in answers.gives] == [
        ("passed", "boolean"),
        ("response", "string or null"),
    ]
    assert "409 Conflict" in answers.failures


def test_examples_are_made_of_their_parts(endpoints: dict[str, Endpoint]) -> None:
    assert '"character": "A"' in endpoints["/api/v1/predictions"].answer


def test_the_lines_to_copy_name_this_server(endpoints: dict[str, Endpoint]) -> None:
    assert endpoints["/api/v1/predictions"].curl == f"curl {ORIGIN}/api/v1/predictions -F image=@letter.png"
    query = "captcha=AAAAAGkqPpwW8r4mLg0P&value=eaATOM"
    assert endpoints["/api/test-captcha"].curl == f"curl '{ORIGIN}/api/test-captcha?{query}'"
    assert '-d \'{"challenge": ' in endpoints["/api/v1/answers"].curl


def test_the_calls_for_sites_servers_are_forms(endpoints: dict[str, Endpoint]) -> None:
    call = endpoints["/hcaptcha/siteverify"]
    assert [(field.name, field.required) for field in call.takes] == [
        ("secret", True),
        ("response", True),
        ("remoteip", False),
        ("sitekey", False),
    ]
    assert call.curl.startswith(f"curl {ORIGIN}/hcaptcha/siteverify \\\n  -d secret=")
    assert [field.name for field in call.gives if field.required] == ["success"]
    assert '"error-codes": []' in call.answer
    assert "405 Method Not Allowed" in call.failures


def test_every_code_is_listed_once_and_none_of_the_inside() -> None:
    codes = [error.code for error in reference.error_codes()]
    assert len(codes) == len(set(codes))
    assert {"bad-request", "challenge-used", "challenge-expired", "not-ready", "picture-rejected"} <= set(codes)
    assert not {"error", "not-possible"} & set(codes)


@pytest.mark.django_db
def test_the_page_shows_all_of_it(client: Client, endpoints: dict[str, Endpoint]) -> None:
    html = client.get("/api-docs").content.decode()
    for path, endpoint in endpoints.items():
        assert path in html
        assert f'id="{endpoint.anchor}"' in html
    assert 'href="/api/openapi.json"' in html
    assert "curl http://testserver/api/v1/challenges" in html
