"""Challenges and answers as a program sees them."""

import base64
import io
import json
from collections.abc import Callable

import pytest
from django.core.cache import cache
from django.test import Client
from django.utils import timezone
from PIL import Image
from pytest_django import Settings

from drcaptcha.challenges.models import Captcha
from drcaptcha.challenges.tokens import Purpose, seal
from drcaptcha.glyphs.models import Glyph
from drcaptcha.labelling.models import Source, Vote
from drcaptcha.sites.models import Site

MakeCaptcha = Callable[..., Captcha]
pytestmark = pytest.mark.django_db


def post(client: Client, path: str, body: object = None, **extra: str) -> tuple[int, dict[str, object]]:
    response = client.post(f"/api/v1/{path}", body, content_type="application/json", **extra)
    return response.status_code, response.json()


def token_of(captcha: Captcha) -> str:
    return seal(Purpose.CHALLENGE, captcha.pk, Site.of(None).pk, timezone.now())


def solution(token_or_picture: str) -> str:
    """Look up what a picture shows, as a person would read it."""
    picture = base64.b64decode(token_or_picture.partition(",")[2])
    captcha = next(c for c in Captcha.objects.all() if bytes(c.picture) == picture)
    return "".join(Glyph.objects.get(pk=slot.glyph).truth for slot in captcha.slots)


@pytest.fixture(autouse=True)
def fresh_cache() -> None:
    cache.clear()


def test_a_visitor_passes(client: Client, stock: list[Glyph]) -> None:
    status, challenge = post(client, "challenges", {})
    assert status == 200
    assert set(challenge) == {"challenge", "image", "length", "expires_in", "audio_offered", "work", "test"}
    text = solution(str(challenge["image"]))
    assert len(text) == challenge["length"]
    status, verdict = post(client, "answers", {"challenge": challenge["challenge"], "answer": text})
    assert (status, verdict["passed"]) == (200, True)
    assert verdict["response"]
    assert Vote.objects.exists()


def test_the_image_is_a_picture(client: Client, stock: list[Glyph]) -> None:
    _, challenge = post(client, "challenges")
    data = base64.b64decode(str(challenge["image"]).partition(",")[2])
    assert Image.open(io.BytesIO(data)).width > 200


def test_a_wrong_answer_fails(client: Client, make_captcha: MakeCaptcha) -> None:
    verdict = post(client, "answers", {"challenge": token_of(make_captcha()), "answer": "eaAxOM"})
    assert verdict == (200, {"passed": False, "response": None})


def test_a_second_answer_is_refused(client: Client, make_captcha: MakeCaptcha) -> None:
    body = {"challenge": token_of(make_captcha()), "answer": "eaAxOM"}
    post(client, "answers", body)
    status, refusal = post(client, "answers", body | {"answer": "eaATOM"})
    assert (status, refusal["error"]["code"]) == (409, "challenge-used")  # type: ignore[index]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"challenge": "made-up", "answer": "x"}, 400, "challenge-invalid"),
        ({"challenge": "made-up"}, 400, "bad-request"),
        ({"answer": "x"}, 400, "bad-request"),
        ({"challenge": 7, "answer": ["x"]}, 400, "bad-request"),
        ({"challenge": "x" * 2100, "answer": "x"}, 400, "bad-request"),
        ([], 400, "bad-request"),
        ("{", 400, "bad-request"),
    ],
)
def test_a_bad_answer_is_refused_as_json(client: Client, body: object, status: int, code: str) -> None:
    got, refusal = post(client, "answers", body)
    assert (got, refusal["error"]["code"]) == (status, code)  # type: ignore[index]
    assert refusal["error"]["message"]  # type: ignore[index]


def test_a_challenge_for_an_unknown_site_is_refused(client: Client, stock: list[Glyph]) -> None:
    status, refusal = post(client, "challenges", {"sitekey": "nobody"})
    assert (status, refusal["error"]["code"]) == (404, "unknown-sitekey")  # type: ignore[index]


def test_a_site_that_is_known_gets_its_challenge(client: Client, stock: list[Glyph]) -> None:
    site = Site.objects.create(name="library")
    assert post(client, "challenges", {"sitekey": site.sitekey})[0] == 200


def test_an_installation_without_glyphs_says_so(client: Client) -> None:
    status, refusal = post(client, "challenges", {})
    assert (status, refusal["error"]["code"]) == (503, "not-ready")  # type: ignore[index]


@pytest.mark.parametrize("path", ["/api/nowhere", "/api/v1/nowhere", "/api/v1/"])
def test_an_unknown_address_is_json_too(client: Client, path: str) -> None:
    response = client.get(path)
    assert (response.status_code, response.json()["error"]["code"]) == (404, "not-found")


def test_a_wrong_method_is_json_too(client: Client) -> None:
    response = client.get("/api/v1/answers")
    assert (response.status_code, response.json()["error"]["code"]) == (405, "method-not-allowed")
    assert response["Allow"] == "POST"


def test_a_forged_address_changes_nothing(client: Client, make_captcha: MakeCaptcha) -> None:
    for forged in ("198.51.100.1", "198.51.100.2"):
        body = {"challenge": token_of(make_captcha()), "answer": "eaATOM"}
        post(client, "answers", body, headers={"X-Forwarded-For": forged})
    assert Source.objects.count() == 1


def test_a_configured_proxy_is_believed(client: Client, make_captcha: MakeCaptcha, settings: Settings) -> None:
    settings.DRCAPTCHA_PROXIES = 1
    for forged in ("203.0.113.9, 198.51.100.1", "203.0.113.8, 198.51.100.1", "198.51.100.2"):
        body = {"challenge": token_of(make_captcha()), "answer": "eaATOM"}
        post(client, "answers", body, headers={"X-Forwarded-For": forged})
    assert Source.objects.count() == 2


def test_the_original_api_still_works(client: Client, stock: list[Glyph]) -> None:
    captcha = client.get("/api/get-captcha").json()
    assert set(captcha) == {"captcha", "image"}
    query = {"captcha": captcha["captcha"], "value": solution(captcha["image"])}
    assert client.get("/api/test-captcha", query).json() == {"test": True}
    again = client.get("/api/test-captcha", query)
    assert again.status_code == 409
    assert set(again.json()) == {"message"}


def test_the_original_api_says_no(client: Client, make_captcha: MakeCaptcha) -> None:
    query = {"captcha": token_of(make_captcha()), "value": "eaAxOM"}
    assert client.get("/api/test-captcha", query).json() == {"test": False}


@pytest.mark.parametrize("query", [{}, {"captcha": "x"}, {"captcha": "x", "value": "y"}])
def test_the_original_api_explains_itself(client: Client, query: dict[str, str]) -> None:
    response = client.get("/api/test-captcha", query)
    assert response.status_code == 400
    assert set(response.json()) == {"message"}


def test_the_api_is_described(client: Client) -> None:
    document = client.get("/api/openapi.json").json()
    assert document["openapi"].startswith("3.")
    assert {"/api/v1/challenges", "/api/v1/answers", "/api/v1/predictions"} <= set(document["paths"])
    assert {"/api/get-captcha", "/api/test-captcha"} <= set(document["paths"])


def test_another_sites_page_can_not_answer_for_its_visitors(client: Client, make_captcha: MakeCaptcha) -> None:
    body = json.dumps({"challenge": token_of(make_captcha()), "answer": "eaATOM"})
    response = client.post("/api/v1/answers", body, content_type="text/plain")
    assert (response.status_code, response.json()["error"]["code"]) == (400, "bad-request")
    assert not Vote.objects.exists()


@pytest.mark.parametrize("query", [{"captcha": "x" * 600, "value": "y"}, {"captcha": "x", "value": "y" * 600}])
def test_the_original_api_keeps_its_form_when_asked_too_much(client: Client, query: dict[str, str]) -> None:
    assert set(client.get("/api/test-captcha", query).json()) == {"message"}


@pytest.mark.parametrize("sitekey", ["a\0b", "a b", "é" * 65])
def test_what_can_not_be_a_site_key_is_refused(client: Client, sitekey: str) -> None:
    assert post(client, "challenges", {"sitekey": sitekey})[0] == 400
