"""Limits and proof of work, as a visitor meets them over HTTP."""

import hashlib
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest
from django.conf import LazySettings
from django.core.cache import cache
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from drcaptcha.challenges import tallies, working
from drcaptcha.challenges.models import Attempt
from drcaptcha.errors import WorkWrong
from drcaptcha.sites.models import Site
from drcaptcha.turns import alone

JSON = "application/json"
HOST = {"origin": "https://www.museum.example"}


@pytest.fixture(autouse=True)
def fresh_counts(settings: LazySettings, tmp_path: Path) -> Iterator[None]:
    settings.DRCAPTCHA_TALLIES = tmp_path / "tallies"
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def sitekey(db: None) -> str:
    return Site.objects.create(name="Museum", hosts=["www.museum.example"]).sitekey


def ask(client: Client, sitekey: str, **extra: Any) -> Any:
    return client.post("/api/v1/challenges", {"sitekey": sitekey}, content_type=JSON, headers=HOST, **extra)


def answer(client: Client, challenge: dict[str, Any], text: str = "wrong", **more: Any) -> Any:
    body = {"challenge": challenge["challenge"], "answer": text} | more
    return client.post("/api/v1/answers", body, content_type=JSON, headers=HOST)


def solve(work: dict[str, Any]) -> list[int]:
    found = []
    for i in range(work["count"]):
        n = 0
        while int.from_bytes(hashlib.sha256(f"{work['salt']}:{i}:{n}".encode()).digest()) >> (256 - work["bits"]):
            n += 1
        found.append(n)
    return found


def test_who_asks_too_often_waits(client: Client, stock: object, sitekey: str, settings: LazySettings) -> None:
    settings.DRCAPTCHA_RATE = 5
    found = [ask(client, sitekey) for _ in range(7)]
    assert [one.status_code for one in found] == [HTTPStatus.OK] * 5 + [HTTPStatus.TOO_MANY_REQUESTS] * 2
    assert found[-1].json()["error"]["code"] == "too-many-requests"
    assert int(found[-1]["Retry-After"]) > 0
    assert found[-1]["Access-Control-Expose-Headers"] == "Retry-After"
    assert ask(client, sitekey, REMOTE_ADDR="192.0.2.9").status_code == HTTPStatus.OK


def test_a_forged_address_changes_nothing(client: Client, stock: object, sitekey: str, settings: LazySettings) -> None:
    settings.DRCAPTCHA_RATE = 3
    found = [ask(client, sitekey, HTTP_X_FORWARDED_FOR=f"192.0.2.{n}").status_code for n in range(5)]
    assert found == [HTTPStatus.OK] * 3 + [HTTPStatus.TOO_MANY_REQUESTS] * 2


def test_behind_a_proxy_the_address_that_it_wrote_counts(
    client: Client, stock: object, sitekey: str, settings: LazySettings
) -> None:
    settings.DRCAPTCHA_RATE, settings.DRCAPTCHA_PROXIES = 3, 1
    for n in range(5):
        forged = f"203.0.113.{n}, 192.0.2.1"
        ask(client, sitekey, HTTP_X_FORWARDED_FOR=forged)
    assert ask(client, sitekey, HTTP_X_FORWARDED_FOR="192.0.2.1").status_code == HTTPStatus.TOO_MANY_REQUESTS
    assert ask(client, sitekey, HTTP_X_FORWARDED_FOR="192.0.2.2").status_code == HTTPStatus.OK


def test_a_site_has_a_limit_of_its_own(client: Client, stock: object, sitekey: str, settings: LazySettings) -> None:
    settings.DRCAPTCHA_SITE_RATE = 4
    found = [ask(client, sitekey, REMOTE_ADDR=f"192.0.2.{n}").status_code for n in range(6)]
    assert found == [HTTPStatus.OK] * 4 + [HTTPStatus.TOO_MANY_REQUESTS] * 2
    other = Site.objects.create(name="Library", hosts=["www.museum.example"]).sitekey
    assert ask(client, other).status_code == HTTPStatus.OK


def test_answers_are_limited_too(client: Client, stock: object, sitekey: str, settings: LazySettings) -> None:
    challenge = ask(client, sitekey).json()
    settings.DRCAPTCHA_RATE = 3
    found = [answer(client, challenge).status_code for _ in range(5)]
    assert found == [HTTPStatus.OK, *[HTTPStatus.CONFLICT] * 2, *[HTTPStatus.TOO_MANY_REQUESTS] * 2]


@pytest.mark.parametrize("path", ["/api/get-captcha", "/api/test-captcha?captcha={}&value=x"])
def test_the_original_s_calls_are_limited_and_say_how_long(
    client: Client, stock: object, settings: LazySettings, path: str
) -> None:
    challenge = client.get("/api/get-captcha").json()["captcha"]
    settings.DRCAPTCHA_RATE = 2
    found = [client.get(path.format(challenge)) for _ in range(3)][-1]
    assert (found.status_code, found["Retry-After"]) == (HTTPStatus.TOO_MANY_REQUESTS, "60")
    assert set(found.json()) == {"message"}


def test_pictures_to_read_are_limited_too(client: Client, db: None, settings: LazySettings) -> None:
    settings.DRCAPTCHA_RATE = 3
    found = [client.post("/api/v1/predictions", {}, content_type=JSON) for _ in range(4)]
    assert [one.status_code for one in found] == [HTTPStatus.BAD_REQUEST] * 3 + [HTTPStatus.TOO_MANY_REQUESTS]
    assert int(found[-1]["Retry-After"]) > 0


def test_while_redis_hangs_nobody_waits_long_and_nothing_is_judged(
    client: Client, stock: object, sitekey: str, settings: LazySettings
) -> None:
    challenge = ask(client, sitekey).json()
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        settings.REDIS_URL = f"redis://127.0.0.1:{deaf.getsockname()[1]}"
        start = time.monotonic()
        said = [ask(client, sitekey), answer(client, challenge), client.get("/api/get-captcha")]
        assert time.monotonic() - start < 3 * (tallies.PATIENCE + 1)
    assert {one.status_code for one in said} == {HTTPStatus.SERVICE_UNAVAILABLE}
    assert said[0].json()["error"]["code"] == "not-ready"
    assert not Attempt.objects.exists()


def test_where_redis_may_hang_nobody_waits_for_another(settings: LazySettings) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1"
    both = Barrier(2, timeout=5)

    def serve() -> None:
        with alone():
            both.wait()

    with ThreadPoolExecutor(2) as threads:
        for one in [threads.submit(serve) for _ in range(2)]:
            one.result()


def test_no_address_is_kept(client: Client, stock: object, sitekey: str, settings: LazySettings) -> None:
    ask(client, sitekey, REMOTE_ADDR="198.51.100.77")
    if settings.REDIS_URL:
        kept = b" ".join(cache._cache.get_client().keys())  # type: ignore[attr-defined]
        assert b"drcaptcha.issue" in kept
    else:
        kept = settings.DRCAPTCHA_TALLIES.read_bytes()
        assert kept.strip(b"\0")
    assert b"198.51" not in kept


def test_work_has_to_be_done_and_a_fault_in_it_uses_nothing_up(
    client: Client, make_captcha: Callable[..., Any], sitekey: str, settings: LazySettings, stock: object
) -> None:
    settings.DRCAPTCHA_WORK = 6
    challenge = ask(client, sitekey).json()
    work = challenge["work"]
    assert (work["bits"], work["count"]) == (6, working.COUNT)
    right = solve(work)
    for wrong, code in (({}, "work-missing"), ({"work": []}, "work-missing"), ({"work": right[:-1]}, "work-wrong")):
        refused = answer(client, challenge, **wrong)
        assert (refused.status_code, refused.json()["error"]["code"]) == (HTTPStatus.BAD_REQUEST, code)
    assert not Attempt.objects.exists()
    judged = answer(client, challenge, work=right)
    assert judged.json() == {"passed": False, "response": None}
    assert Attempt.objects.count() == 1


def test_who_fails_works_more_and_then_waits(
    client: Client, stock: object, sitekey: str, settings: LazySettings
) -> None:
    settings.DRCAPTCHA_WORK = 1
    bits = []
    for _ in range(40):
        asked = ask(client, sitekey)
        if asked.status_code != HTTPStatus.OK:
            break
        challenge = asked.json()
        bits.append(challenge["work"]["bits"])
        answer(client, challenge, work=solve(challenge["work"]))
    assert bits == sorted(bits)
    assert bits[0] == 1
    assert bits[-1] == 1 + working.MOST
    assert asked.status_code == HTTPStatus.TOO_MANY_REQUESTS
    assert ask(client, sitekey, REMOTE_ADDR="192.0.2.9").json()["work"]["bits"] == 1


def test_in_a_rush_everybody_works_more(client: Client, stock: object, sitekey: str, settings: LazySettings) -> None:
    settings.DRCAPTCHA_WORK = 1
    bits = [ask(client, sitekey, REMOTE_ADDR=f"192.0.{n // 250}.{n % 250}").json()["work"]["bits"] for n in range(130)]
    assert bits[0] == 1
    assert bits[-1] == 1 + working.RUSH_MOST < 1 + working.MOST


def test_the_pages_of_the_service_ask_for_no_work(client: Client, stock: object, settings: LazySettings) -> None:
    settings.DRCAPTCHA_WORK = 10
    assert client.post("/api/v1/challenges", {}, content_type=JSON).json()["work"] is None


@given(st.lists(st.integers(0, 2**53 - 1), min_size=working.COUNT, max_size=working.COUNT))
def test_what_was_not_searched_for_is_no_work(numbers: list[int]) -> None:
    with pytest.raises(WorkWrong):
        working.check("AAAAAGkqPpwW8r4mLg0PAAAAAGkqPpwW8r4mLg0P", 30, numbers)
