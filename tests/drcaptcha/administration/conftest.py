"""Administrators of different rights, and something for each page to show."""

from collections.abc import Callable
from datetime import datetime
from html.parser import HTMLParser
from pathlib import Path

import pytest
from django.contrib.auth.models import Permission, User
from django.core.files.base import ContentFile
from django.test import Client
from pytest_django import Settings

from drcaptcha.challenges.models import Attempt, Captcha
from drcaptcha.labelling.models import Role, Source, Vote
from drcaptcha.learning.models import Ensemble, Membership, Network
from drcaptcha.sites.models import Site
from handwriting.alphabet import BALANCED


class Form(HTMLParser):
    """What a browser would send of the form with an id, were it sent unchanged."""

    def __init__(self, identity: str, page: str) -> None:
        super().__init__()
        self.identity, self.inside, self.select = identity, False, ""
        self.fields: dict[str, str] = {}
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        name = given.get("name") or ""
        if tag == "form":
            self.inside = given.get("id") == self.identity
        elif not self.inside:
            return
        elif tag == "select":
            self.select, self.fields[name] = name, ""
        elif tag == "option" and "selected" in given:
            self.fields[self.select] = given.get("value") or ""
        elif tag == "input" and name and given.get("type") not in {"submit", "checkbox"}:
            self.fields[name] = given.get("value") or ""

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self.inside = False


PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def owner(db: None) -> Client:
    """Somebody who may do everything."""
    client = Client()
    client.force_login(User.objects.create_superuser("ada", password="correct horse"))
    return client


@pytest.fixture
def reader(db: None) -> Client:
    """Somebody on the staff who may see everything and change nothing."""
    user = User.objects.create_user("rosa", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__startswith="view_"))
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def newcomer(db: None) -> Client:
    """Somebody on the staff who has no right yet."""
    client = Client()
    client.force_login(User.objects.create_user("newt", is_staff=True))
    return client


@pytest.fixture
def source(db: None) -> Source:
    return Source.objects.create(site=Site.of(None), key="5" * 64, created=datetime.fromisoformat("2026-05-04T12:00Z"))


@pytest.fixture
def make_vote(source: Source, now: datetime) -> Callable[..., Vote]:
    """Let somebody type a character for a glyph."""

    def make(glyph: int, typed: str, captcha: int = 1, **more: object) -> Vote:
        fields = {"source": source, "role": Role.PROBE, "answer": BALANCED.class_of(typed) or "", "created": now}
        return Vote.objects.create(glyph_id=glyph, captcha=captcha, typed=typed, **fields | more)

    return make


@pytest.fixture
def make_source(source: Source) -> Callable[..., Source]:
    """Make another source, known by the beginning of its key."""

    def make(start: str, **more: object) -> Source:
        return Source.objects.create(site=source.site, key=start.ljust(64, "0"), created=source.created, **more)

    return make


@pytest.fixture
def make_attempt(source: Source) -> Callable[..., Attempt]:
    """Have a captcha answered."""

    def make(captcha: Captcha, *, passed: bool, at: datetime) -> Attempt:
        return Attempt.objects.create(captcha=captcha, site=source.site, passed=passed, created=at)

    return make


@pytest.fixture
def make_network(db: None, settings: Settings, tmp_path: Path, now: datetime) -> Callable[..., Network]:
    """Store a network with its files."""
    settings.MEDIA_ROOT = tmp_path

    def make(
        architecture: str = "compact", *, classes: str = "".join(BALANCED.classes), accuracy: float = 0.875
    ) -> Network:
        network = Network(
            architecture=architecture,
            classes=classes,
            folder=f"{architecture}-{Network.objects.count()}",
            created=now,
            seconds=41.25,
            epochs=8,
            batch_size=128,
            seed=3,
            parameters=312_431,
            train_size=79_100,
            test_size=11_635,
            accuracy=accuracy,
            onnx=ContentFile(b"a network", "network.onnx"),
        )
        for kind in ("architecture", "loss", "accuracy", "confusion"):
            setattr(network, f"{kind}_picture", ContentFile(PNG + kind.encode(), f"{kind}.png"))
        network.save()
        return network

    return make


@pytest.fixture
def make_ensemble(make_network: Callable[..., Network]) -> Callable[..., Ensemble]:
    """Form an ensemble of as many networks as there are weights."""

    def make(*weights: float, name: str = "First light") -> Ensemble:
        ensemble = Ensemble.objects.create(name=name)
        for weight in weights:
            Membership.objects.create(ensemble=ensemble, network=make_network(), weight=weight)
        return ensemble

    return make
