"""What an operator's tools ask of the running service."""

import json
import logging
import os
import re
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Any
from unittest.mock import patch

import pytest
from django.conf import LazySettings
from django.core.management import call_command
from django.db import DatabaseError, OperationalError, connection
from django.db.migrations.recorder import MigrationRecorder
from django.test import Client

from drcaptcha import observing
from drcaptcha.challenges import holding, issuing, tallies
from drcaptcha.logs import JsonLines

STRANGE = {"HTTP_HOST": "10.0.0.7:8000"}


@pytest.fixture
def built(settings: LazySettings) -> None:
    (settings.STATIC_ROOT / "staticfiles.json").write_text("{}")


def test_it_lives_whatever_it_is_called_and_without_a_database(client: Client) -> None:
    assert client.get("/live", **STRANGE).content == b"live\n"  # type: ignore[arg-type]
    assert client.post("/live").status_code == HTTPStatus.METHOD_NOT_ALLOWED


def test_it_is_ready_when_it_can_compose(client: Client, stock: object, built: None) -> None:
    answer = client.get("/ready", **STRANGE)  # type: ignore[arg-type]
    assert (answer.status_code, answer.json()) == (HTTPStatus.OK, {"ready": True, "missing": []})
    assert answer["Cache-Control"] == "no-store"


def test_it_says_what_is_missing(client: Client, db: None, built: None, settings: LazySettings) -> None:
    (settings.STATIC_ROOT / "staticfiles.json").unlink()
    answer = client.get("/ready")
    assert answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert [line.partition(":")[0] for line in answer.json()["missing"]] == ["controls", "static files"]
    recorder = MigrationRecorder(connection)
    recorder.record_unapplied(*max(one for one in recorder.applied_migrations() if one[0] == "challenges"))
    assert [line.partition(":")[0] for line in client.get("/ready").json()["missing"]] == ["migrations"]
    with patch.object(connection, "ensure_connection", side_effect=DatabaseError):
        assert client.get("/ready").json()["missing"] == ["database: it does not answer"]


def test_it_is_not_ready_without_its_redis(client: Client, stock: object, built: None, settings: LazySettings) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1"
    assert client.get("/ready").json() == {"ready": False, "missing": ["redis: it does not answer"]}


def test_the_first_page_is_there_without_redis(client: Client, db: None, settings: LazySettings) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1"
    redis = {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": settings.REDIS_URL}
    settings.CACHES = settings.CACHES | {"default": redis}
    assert client.get("/").status_code == HTTPStatus.OK


@pytest.mark.skipif(connection.vendor != "sqlite", reason="its room is another machine's")
def test_it_is_not_ready_without_room(
    client: Client, stock: object, built: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(observing, "LEAST_ROOM", 2**60)
    assert client.get("/ready").json() == {"ready": False, "missing": ["room: the disk of the state folder is full"]}


@pytest.mark.skipif(connection.vendor != "sqlite", reason="its room is another machine's")
@pytest.mark.django_db(transaction=True)
def test_visitors_are_asked_to_come_back_where_the_database_has_no_room(
    client: Client, stock: object, caplog: pytest.LogCaptureFixture, settings: LazySettings
) -> None:
    ask = partial(client.post, "/api/v1/challenges", "{}", content_type="application/json")
    settings.DRCAPTCHA_POOL = 0  # Each captcha is composed on the spot.
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA max_page_count = 1")  # No more than there are.
        try:
            with pytest.raises(OperationalError, match="full"):
                call_command("generatecaptchas", "500", verbosity=0)
            while (said := ask()).status_code == HTTPStatus.OK:
                holding.held.clear()
            pages = [client.get("/test-captcha"), client.get("/api/get-captcha")]
        finally:
            cursor.execute("PRAGMA max_page_count = 1073741823")
    assert [answer.status_code for answer in (said, *pages)] == [HTTPStatus.SERVICE_UNAVAILABLE] * 3
    assert said.json()["error"]["code"] == "not-ready"
    assert "is full" in caplog.text
    assert ask().status_code == HTTPStatus.OK


def test_the_files_of_counts_have_their_room(settings: LazySettings) -> None:
    observing.hold_room()
    tallies._table(settings.DRCAPTCHA_TALLIES)
    files = list(settings.DRCAPTCHA_METRICS.glob(f"*_{os.getpid()}.db"))
    assert len(files) == 2
    assert all(512 * file.stat().st_blocks >= observing.ROOM for file in [*files, settings.DRCAPTCHA_TALLIES])


def test_metrics_count_what_happens(client: Client, make_captcha: Callable[..., Any], stock: object) -> None:
    client.post("/api/v1/challenges", {}, content_type="application/json")
    client.get("/nowhere")
    text = client.get("/metrics").content.decode()
    figures = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert float(figures['drcaptcha_events_total{event="issued"}']) == 1
    assert float(figures['drcaptcha_glyphs{state="control"}']) == 20
    asked = [name for name in figures if "v1/challenges" in name and 'status="200"' in name]
    assert len(asked) == 1
    assert float(figures[asked[0]]) >= 1
    assert any(name.startswith("drcaptcha_request_seconds_bucket") for name in figures)
    assert not any("nowhere" in name for name in figures)


def test_calls_of_visitors_that_fail_are_counted_by_their_route(
    client: Client, stock: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(issuing, "issue", fail)
    client.raise_request_exception = False
    answer = client.post("/api/v1/challenges", {}, content_type="application/json")
    assert answer.status_code == HTTPStatus.INTERNAL_SERVER_ERROR
    text = client.get("/metrics").content.decode()
    assert any("v1/challenges" in line and 'status="500"' in line for line in text.splitlines())


def test_only_counts_of_processes_that_have_ended_are_let_go(client: Client, db: None, settings: LazySettings) -> None:
    client.get("/methodology")
    ours = {path.name for path in settings.DRCAPTCHA_METRICS.glob(f"*_{os.getpid()}.db")}
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        ended.wait()
    (settings.DRCAPTCHA_METRICS / f"counter_{ended.pid}.db").touch()
    observing.forget_processes()
    assert {path.name for path in settings.DRCAPTCHA_METRICS.glob("*.db")} == ours
    assert ours


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("token", "caller", "allowed"),
    [
        ("", {}, True),
        ("", {"REMOTE_ADDR": "192.0.2.1"}, False),
        ("", {"HTTP_X_FORWARDED_FOR": "127.0.0.1"}, False),
        ("", {"REMOTE_ADDR": "192.0.2.1", "HTTP_X_FORWARDED_FOR": "127.0.0.1"}, False),
        ("secret", {}, False),
        ("secret", {"HTTP_AUTHORIZATION": "Bearer wrong"}, False),
        ("secret", {"HTTP_AUTHORIZATION": "Bearer secret", "REMOTE_ADDR": "192.0.2.1"}, True),
    ],
)
def test_metrics_are_for_who_may_have_them(
    token: str, caller: dict[str, Any], allowed: bool, client: Client, settings: LazySettings
) -> None:
    settings.DRCAPTCHA_METRICS_TOKEN = token
    assert client.get("/metrics", **caller).status_code == (HTTPStatus.OK if allowed else HTTPStatus.FORBIDDEN)


def test_a_line_of_the_log_says_what_was_asked_and_not_by_whom(
    client: Client, db: None, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "drcaptcha.requests"):
        answer = client.get("/methodology?token=secret", REMOTE_ADDR="198.51.100.7")
    (record,) = [one for one in caplog.records if one.name == "drcaptcha.requests"]
    text = JsonLines().format(record)
    line = json.loads(text)
    assert (line["method"], line["path"], line["status"]) == ("GET", "/methodology", 200)
    assert line["milliseconds"] > 0
    assert "secret" not in text
    assert "198.51" not in text
    assert re.fullmatch("[0-9a-f]{32}", answer["X-Request-ID"])


def test_only_a_proxy_may_give_a_request_its_name(client: Client, db: None, settings: LazySettings) -> None:
    given = {"x-request-id": "abc-1"}
    assert client.get("/methodology", headers=given)["X-Request-ID"] != "abc-1"
    settings.DRCAPTCHA_PROXIES = 1
    assert client.get("/methodology", headers=given)["X-Request-ID"] == "abc-1"
    assert client.get("/methodology", headers={"x-request-id": "a b\x01"})["X-Request-ID"] != "a b\x01"


def test_an_error_is_written_on_one_line() -> None:
    error = ValueError("two\nlines")
    told = (type(error), error, None)
    text = JsonLines().format(logging.getLogger("x").makeRecord("x", logging.ERROR, "f", 1, "it\nbroke", (), told))
    assert "\n" not in text
    assert json.loads(text)["trace"].endswith("ValueError: two\nlines")
