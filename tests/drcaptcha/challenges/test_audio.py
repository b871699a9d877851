"""Challenges that are heard, over HTTP."""

import base64
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

import pytest
from django.conf import LazySettings
from django.core.cache import cache
from django.test import Client
from django.utils import timezone

from drcaptcha.challenges import limiting, working
from drcaptcha.challenges.models import Attempt, Captcha
from drcaptcha.labelling.models import Vote
from drcaptcha.labelling.sources import source_key
from drcaptcha.sites.models import Secret, Site, Traffic

JSON = "application/json"


@pytest.fixture
def ask(client: Client, db: None) -> Callable[..., Any]:
    def ask_for(**more: Any) -> Any:
        return client.post("/api/v1/challenges", {"kind": "audio"} | more, content_type=JSON)

    return ask_for


@pytest.fixture
def answer(client: Client) -> Callable[..., Any]:
    def answer_with(challenge: dict[str, Any], text: str) -> Any:
        return client.post("/api/v1/answers", {"challenge": challenge["challenge"], "answer": text}, content_type=JSON)

    return answer_with


def spoken() -> str:
    return Captcha.objects.latest("pk").spoken


def test_who_hears_it_passes_and_casts_no_vote(ask: Callable[..., Any], answer: Callable[..., Any]) -> None:
    challenge = ask(language="de-AT").json()
    assert challenge["audio"].startswith("data:audio/wav;base64,UklGR")
    assert "image" not in challenge
    assert challenge["length"] == len(spoken()) == 6
    assert spoken().encode() not in base64.b64decode(challenge["audio"].partition(",")[2])
    judged = answer(challenge, " ".join(spoken())).json()
    assert judged["passed"]
    assert judged["response"]
    assert not Vote.objects.exists()
    assert Traffic.objects.values("issued", "passed", "failed").get() == {"issued": 1, "passed": 1, "failed": 0}


def test_it_is_redeemed_as_any_other(client: Client, ask: Callable[..., Any], answer: Callable[..., Any]) -> None:
    site = Site.objects.create(name="Museum", hosts=["www.museum.example"])
    secret = Secret.issue(site, timezone.now())
    response = answer(ask(sitekey=site.sitekey, action="login").json(), spoken()).json()["response"]
    fields = {"secret": secret, "response": response}
    said = client.post("/recaptcha/api/siteverify", fields).json()
    assert (said["success"], said["action"]) == (True, "login")
    assert not client.post("/recaptcha/api/siteverify", fields).json()["success"]


def test_digits_of_other_scripts_are_digits(ask: Callable[..., Any], answer: Callable[..., Any]) -> None:
    challenge = ask(language="fa").json()
    assert answer(challenge, "".join(chr(ord("۰") + int(one)) for one in spoken())).json()["passed"]


@pytest.mark.parametrize("change", [lambda text: text[:-1], lambda text: "?" + text[1:], lambda text: text[::-1] + "0"])
def test_all_of_it_has_to_be_right(
    change: Callable[[str], str], ask: Callable[..., Any], answer: Callable[..., Any]
) -> None:
    challenge = ask().json()
    assert answer(challenge, change(spoken())).json() == {"passed": False, "response": None}
    assert answer(challenge, spoken()).status_code == HTTPStatus.CONFLICT
    assert Attempt.objects.count() == 1


def test_tokens_do_not_tell_what_kind_they_are_of(ask: Callable[..., Any], stock: object) -> None:
    assert len(ask().json()["challenge"]) == len(ask(kind="picture").json()["challenge"])


def test_it_asks_for_more_work(ask: Callable[..., Any], stock: object, settings: LazySettings) -> None:
    cache.clear()
    settings.DRCAPTCHA_WORK = 5
    sitekey = Site.objects.create(name="Museum", hosts=["www.museum.example"]).sitekey
    bits = [ask(sitekey=sitekey, kind=kind).json()["work"]["bits"] for kind in ("picture", "audio")]
    assert bits == [5, 7]
    now = timezone.now()
    for _ in range(20):
        limiting.note_failure(source_key("127.0.0.1", Site.of(sitekey), now), now)
    assert ask(sitekey=sitekey).json()["work"]["bits"] == 5 + working.MOST


def test_it_is_offered_where_it_is_to_be_had(ask: Callable[..., Any], stock: object, settings: LazySettings) -> None:
    assert ask(kind="picture").json()["audio_offered"] is True
    settings.DRCAPTCHA_AUDIO = False
    assert ask(kind="picture").json()["audio_offered"] is False
    refused = ask()
    assert (refused.status_code, refused.json()["error"]["code"]) == (HTTPStatus.NOT_IMPLEMENTED, "audio-unavailable")


def test_test_keys_are_spoken_too(ask: Callable[..., Any], answer: Callable[..., Any]) -> None:
    challenge = ask(sitekey="test-passes").json()
    assert challenge["test"] is True
    assert answer(challenge, "whatever").json() == {"passed": True, "response": "test-response"}


def test_it_counts_towards_the_quota(ask: Callable[..., Any]) -> None:
    site = Site.objects.create(name="Museum", hosts=["www.museum.example"], quota=1)
    assert ask(sitekey=site.sitekey).status_code == HTTPStatus.OK
    assert ask(sitekey=site.sitekey).status_code == HTTPStatus.TOO_MANY_REQUESTS
