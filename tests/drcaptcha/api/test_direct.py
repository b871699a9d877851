"""Calls that are answered before the framework are answered as it would."""

import io
import json
import sys
from threading import Thread
from typing import Any

import pytest
from django.core.handlers.wsgi import WSGIHandler
from django.db import DatabaseError, connection
from pytest_django import Settings

from drcaptcha.challenges import issuing
from drcaptcha.errors import AudioUnavailable
from drcaptcha.glyphs.models import Glyph
from drcaptcha.turns import alone
from drcaptcha.wsgi import application
from tests.registered import Keys

pytestmark = pytest.mark.django_db(transaction=True)

CHALLENGES, ANSWERS, RECAPTCHA = "/api/v1/challenges", "/api/v1/answers", "/recaptcha/api/siteverify"
TURNSTILE = "/turnstile/v0/siteverify"
FORM = "application/x-www-form-urlencoded"
MULTIPART = b'--x\r\nContent-Disposition: form-data; name="secret"\r\n\r\nnone\r\n--x--\r\n'


def call(application: Any, path: str, body: bytes = b"{}", **environ: Any) -> tuple[str, dict[str, str], bytes]:
    """Call as a server does; return status, headers and body."""
    heard: list[Any] = []
    plain = {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SCRIPT_NAME": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "localhost",
        "REMOTE_ADDR": "192.0.2.1",
        "CONTENT_TYPE": "application/json",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.url_scheme": "http",
    }
    parts = application(plain | environ, lambda *said: heard.extend(said))
    return heard[0], dict(heard[1]), b"".join(parts)


@pytest.mark.parametrize(
    ("path", "body", "environ"),
    [
        pytest.param(CHALLENGES, b"", {}, id="nothing is sent"),
        pytest.param(CHALLENGES, b"{}", {"CONTENT_TYPE": "text/plain"}, id="text"),
        pytest.param(CHALLENGES, b"{", {}, id="no JSON"),
        pytest.param(CHALLENGES, b"[]", {}, id="another kind of JSON"),
        pytest.param(CHALLENGES, b'{"action": "\xc3\xa9"}', {}, id="a field that is wrong"),
        pytest.param(CHALLENGES, b'{"sitekey": "unknown"}', {}, id="a site that is unknown"),
        pytest.param(CHALLENGES, b"{}", {"HTTP_HOST": "else.example"}, id="another host"),
        pytest.param(CHALLENGES, b"{}", {"HTTP_HOST": "localhost:\0"}, id="no host"),
        pytest.param(CHALLENGES, b"{}", {"CONTENT_LENGTH": "x"}, id="a length that is no number"),
        pytest.param(CHALLENGES, b"{}", {"CONTENT_LENGTH": "", "HTTP_TRANSFER_ENCODING": "chunked"}, id="no length"),
        pytest.param(CHALLENGES, b"{}", {"CONTENT_LENGTH": str(2**30)}, id="too long"),
        pytest.param(CHALLENGES, json.dumps({"more": "x" * 2**17}).encode(), {}, id="long"),
        pytest.param(CHALLENGES, b"{}", {"REQUEST_METHOD": "GET"}, id="another method"),
        pytest.param(CHALLENGES, b"{}", {"SCRIPT_NAME": "/below"}, id="below another path"),
        pytest.param(ANSWERS, b"{}", {}, id="fields are missing"),
        pytest.param(ANSWERS, b'{"challenge": "AAAAAG", "answer": "A"}', {}, id="a token that is none"),
        pytest.param(ANSWERS, b'{"challenge": "", "answer": ""}', {"HTTP_ORIGIN": "https://x.example"}, id="an origin"),
        pytest.param(RECAPTCHA, b"secret=a&response=b", {"CONTENT_TYPE": FORM}, id="a wrong secret"),
        pytest.param(RECAPTCHA, b"{}", {}, id="JSON where a form is wanted"),
        pytest.param(RECAPTCHA, b"", {"REQUEST_METHOD": "GET"}, id="siteverify by another method"),
        pytest.param(TURNSTILE, MULTIPART, {"CONTENT_TYPE": "multipart/form-data; boundary=x"}, id="a form in parts"),
        pytest.param(TURNSTILE, b"{}", {"CONTENT_LENGTH": str(2**20)}, id="siteverify of a long body"),
    ],
)
def test_what_is_odd_is_answered_alike(
    stock: list[Glyph], settings: Settings, path: str, body: bytes, environ: dict[str, str]
) -> None:
    status, headers, said = call(application, path, body, **environ)
    settings.MIDDLEWARE = [name for name in settings.MIDDLEWARE if not name.endswith("direct")]
    wanted, plain, text = call(WSGIHandler(), path, body, **environ)
    if status.startswith("200") and path == CHALLENGES:  # No two challenges are the same.
        assert json.loads(said).keys() == json.loads(text).keys()
    else:
        assert (status, said) == (wanted, text)
    told = {"Content-Type", "Cache-Control", "Allow", "Access-Control-Allow-Origin", "Retry-After"}
    assert {name: headers.get(name) for name in told} == {name: plain.get(name) for name in told}


def test_a_visitor_is_answered_before_the_framework(stock: list[Glyph], library: Keys) -> None:
    body = json.dumps({"sitekey": library.sitekey}).encode()
    status, headers, said = call(application, CHALLENGES, body, HTTP_ORIGIN="https://www.museum.example")
    assert status == "200 OK"
    assert headers["Access-Control-Allow-Origin"] == "https://www.museum.example"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert len(headers["X-Request-ID"]) == 32
    assert "Content-Security-Policy" not in headers  # The framework would have added it.
    assert json.loads(said)["length"]


@pytest.mark.parametrize("error", [DatabaseError("the disk is full"), RuntimeError("a mistake of ours")])
def test_a_failure_is_told_in_json_and_in_the_log(
    stock: list[Glyph], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(issuing, "issue", fail)
    status, _, said = call(application, CHALLENGES)
    assert status == "500 Internal Server Error"
    assert json.loads(said)["error"]["code"] == "internal-server-error"
    assert str(error) in caplog.text


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has no connections that break")
def test_one_call_at_the_most_fails_where_the_database_has_restarted(stock: list[Glyph]) -> None:
    assert call(application, CHALLENGES)[0] == "200 OK"
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        (mine,) = cursor.fetchone()

    def end() -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_terminate_backend(%s)", [mine])
        connection.close()

    ending = Thread(target=end)
    ending.start()
    ending.join()
    status, _, said = call(application, CHALLENGES)
    if status != "200 OK":  # It is seen to a second after the last time.
        assert status == "503 Service Unavailable"
        assert json.loads(said)["error"]["code"] == "not-ready"
    assert call(application, CHALLENGES)[0] == "200 OK"


def test_who_listens_keeps_nobody_waiting(stock: list[Glyph], monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[bool] = []

    def serve() -> None:
        with alone():
            pass

    def speak(*_: object, **__: object) -> None:
        other = Thread(target=serve, daemon=True)
        other.start()
        other.join(5)
        waits.append(other.is_alive())
        raise AudioUnavailable

    monkeypatch.setattr(issuing, "issue_audio", speak)
    status, _, _ = call(application, CHALLENGES, b'{"kind": "audio"}')
    assert status == "501 Not Implemented"
    assert waits == [False]
