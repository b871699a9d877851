"""A registered site, its server, and a visitor who passes on it."""

import json
from collections.abc import Callable
from datetime import datetime

import pytest
from django.core.management import call_command
from django.test import Client

from drcaptcha.challenges.models import Captcha
from drcaptcha.challenges.tokens import Context, Purpose, seal
from drcaptcha.challenges.verifying import verify
from drcaptcha.sites.models import Site
from tests.registered import ORIGIN, Create, Keys, PassOn


@pytest.fixture
def create_site(db: None, capsys: pytest.CaptureFixture[str]) -> Create:
    """Register a site as an operator does."""

    def create(name: str, host: str, *options: str) -> Keys:
        call_command("createsite", name, "--host", host, *options, "--json")
        return Keys(**json.loads(capsys.readouterr().out))

    return create


@pytest.fixture
def library(create_site: Create) -> Keys:
    return create_site("Library", "www.museum.example")


@pytest.fixture
def pass_on(client: Client, make_captcha: Callable[..., Captcha]) -> PassOn:
    """Solve a challenge of a site in a browser and return the response that this earns."""

    def solve(keys: Keys, origin: str | None = ORIGIN, **said: str) -> str:
        make_captcha(available=datetime.fromisoformat("2026-01-01T00:00Z"))
        headers = {"Origin": origin} if origin else {}
        ask = {"sitekey": keys.sitekey, **said}
        challenge = client.post("/api/v1/challenges", ask, "application/json", headers=headers).json()
        answer = {"challenge": challenge["challenge"], "answer": "eaATOM"}
        verdict = client.post("/api/v1/answers", answer, "application/json", headers=headers).json()
        assert verdict["passed"]
        return str(verdict["response"])

    return solve


@pytest.fixture
def passed_at(make_captcha: Callable[..., Captcha]) -> PassOn:
    """Return the response that a visitor has earned at another time, on any host."""

    def pass_then(keys: Keys, at: datetime, host: str = "www.museum.example") -> str:
        site = Site.of(keys.sitekey)
        token = seal(Purpose.CHALLENGE, make_captcha().pk, site.pk, at, Context(host))
        return verify(token, "eaATOM", address="192.0.2.1", now=at).response or ""

    return pass_then
