"""Administrators of different rights, and something for each page to show."""

from collections.abc import Callable
from datetime import datetime
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

    def make(glyph: int, typed: str, captcha: int = 1) -> Vote:
        return Vote.objects.create(
            glyph_id=glyph, source=source, captcha=captcha, role=Role.PROBE, typed=typed, created=now
        )

    return make


@pytest.fixture
def make_attempt(source: Source) -> Callable[..., Attempt]:
    """Have a captcha answered."""

    def make(captcha: Captcha, *, passed: bool, at: datetime) -> Attempt:
        return Attempt.objects.create(captcha=captcha, site=source.site, source=source, passed=passed, created=at)

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
