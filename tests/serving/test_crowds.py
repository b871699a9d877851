"""Fifty who do the same at the same moment, over HTTP, against several processes."""

import json
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from threading import Barrier
from typing import Any

import pytest

from tests.registered import Keys
from tests.serving.conftest import RATE, Installation, Service

CROWD = 50


@pytest.fixture(scope="module")
def site(installation: Installation) -> Keys:
    """A registered site."""
    return Keys(**json.loads(installation.manage("createsite", "Library", "--host", "www.museum.example", "--json")))


def at_once(calls: list[Callable[[], tuple[int, Any]]]) -> list[tuple[int, Any]]:
    """Make calls whose connections are open, all at the same moment."""
    gate = Barrier(len(calls))

    def make(call: Callable[[], tuple[int, Any]]) -> tuple[int, Any]:
        gate.wait()
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(make, calls))


def test_a_challenge_that_fifty_answer_is_judged_once(service: Service, site: Keys, installation: Installation) -> None:
    for _ in range(2):
        _, challenge = service.call("/api/v1/challenges", {"sitekey": site.sitekey})
        answer = {"challenge": challenge["challenge"], "answer": "A" * challenge["length"]}
        answers = at_once([service.ready("/api/v1/answers", answer) for _ in range(CROWD)])
        assert Counter(status for status, _ in answers) == {HTTPStatus.OK: 1, HTTPStatus.CONFLICT: CROWD - 1}
    mine = f"Attempt.objects.filter(site__sitekey={site.sitekey!r})"
    assert int(installation.run(f"from drcaptcha.challenges.models import Attempt; print({mine}.count())")) == 2


@pytest.mark.parametrize("path", ["/recaptcha/api/siteverify", "/hcaptcha/siteverify", "/turnstile/v0/siteverify"])
def test_a_response_that_fifty_redeem_is_redeemed_once(service: Service, site: Keys, path: str) -> None:
    _, challenge = service.call("/api/v1/challenges", {"sitekey": site.sitekey})
    answer = {"challenge": challenge["challenge"], "answer": "A" * challenge["length"]}
    _, judged = service.call("/api/v1/answers", answer)
    ask = {"secret": site.secret, "response": judged["response"]}
    said = at_once([service.ready(path, ask, form=True) for _ in range(CROWD)])
    assert Counter((status, one["success"]) for status, one in said) == {(200, True): 1, (200, False): CROWD - 1}


def test_no_two_of_fifty_get_one_picture(service: Service, site: Keys) -> None:
    calls = [service.ready("/api/v1/challenges", {"sitekey": site.sitekey}) for _ in range(CROWD)]
    issued = at_once(calls)
    assert {status for status, _ in issued} == {HTTPStatus.OK}
    assert len({one["image"] for _, one in issued}) == CROWD


def test_all_processes_together_hold_a_limit(service: Service, installation: Installation) -> None:
    keys = json.loads(installation.manage("createsite", "Rush", "--host", "www.museum.example", "--json"))
    ask = {"sitekey": keys["sitekey"]}
    with ThreadPoolExecutor(CROWD) as pool:
        issued = list(pool.map(lambda _: service.call("/api/v1/challenges", ask)[0], range(RATE + 20)))
    assert Counter(issued) == {HTTPStatus.OK: RATE, HTTPStatus.TOO_MANY_REQUESTS: 20}
