"""Captchas and attempts as administrators see them."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from drcaptcha.challenges.models import NEVER, Attempt, Captcha

CAPTCHAS = "/admin/challenges/captcha/"


@pytest.fixture
def captchas(make_captcha: Callable[..., Captcha], make_attempt: Callable[..., Attempt]) -> dict[str, Captcha]:
    """One captcha at each station of its life."""
    now = timezone.now()
    made = {
        "pool": make_captcha(available=now - timedelta(minutes=1)),
        "issued": make_captcha(available=now + timedelta(minutes=9)),
        "answered": make_captcha(),
    }
    Captcha.objects.filter(pk=made["answered"].pk).update(available=NEVER)
    make_attempt(made["answered"], passed=False, at=now)
    return made


@pytest.mark.parametrize("standing", ["pool", "issued", "answered"])
def test_it_filters_by_standing(owner: Client, captchas: dict[str, Captcha], standing: str) -> None:
    rows = owner.get(f"{CAPTCHAS}?standing={standing}").context["cl"].result_list
    assert list(rows) == [captchas[standing]]


def test_it_finds_a_captcha_by_its_number(owner: Client, captchas: dict[str, Captcha]) -> None:
    rows = owner.get(f"{CAPTCHAS}?q={captchas['pool'].pk}").context["cl"].result_list
    assert list(rows) == [captchas["pool"]]


def test_the_list_leaves_pictures_to_their_own_address(owner: Client, captchas: dict[str, Captcha]) -> None:
    page = owner.get(CAPTCHAS)
    assert "data:" not in page.content.decode()
    for captcha in captchas.values():
        assert reverse("admin:challenges_captcha_picture", args=[captcha.pk]) in page.content.decode()


def test_it_serves_the_picture_to_those_who_may_see_it(
    reader: Client, newcomer: Client, client: Client, make_captcha: Callable[..., Captcha]
) -> None:
    captcha = make_captcha()
    address = reverse("admin:challenges_captcha_picture", args=[captcha.pk])
    answer = reader.get(address)
    assert answer.content == captcha.picture
    assert answer.headers["Content-Type"] == captcha.media_type
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Cache-Control"] == "private, max-age=86400, immutable"
    assert newcomer.get(address).status_code == 403
    assert client.get(address).url.startswith("/admin/login/")


def test_a_visitor_with_an_account_is_no_administrator(client: Client, make_captcha: Callable[..., Captcha]) -> None:
    client.force_login(User.objects.create_user("visitor"))
    address = reverse("admin:challenges_captcha_picture", args=[make_captcha().pk])
    assert client.get(address).url.startswith("/admin/login/")


def test_a_page_shows_the_part_that_each_glyph_plays(owner: Client, captchas: dict[str, Captcha]) -> None:
    captcha = captchas["answered"]
    page = owner.get(reverse("admin:challenges_captcha_change", args=[captcha.pk])).content.decode()
    assert page.count('class="glyph"') == 6
    assert page.count("accepts") == 4
    assert page.count("no label yet") == 2
    assert reverse("admin:challenges_attempt_change", args=[captcha.attempt.pk]) in page
    assert "failed" in page


def test_attempts_can_be_filtered_and_not_changed(
    owner: Client, make_captcha: Callable[..., Captcha], make_attempt: Callable[..., Attempt], now: datetime
) -> None:
    failed = make_attempt(make_captcha(), passed=False, at=now)
    make_attempt(make_captcha(), passed=True, at=now)
    rows = owner.get("/admin/challenges/attempt/?passed__exact=0").context["cl"].result_list
    assert list(rows) == [failed]
    page = reverse("admin:challenges_attempt_change", args=[failed.pk])
    assert owner.get(page).status_code == 200
    assert owner.post(page, {"passed": "on"}).status_code == 403


def test_a_site_gets_its_key_when_it_is_added(owner: Client) -> None:
    owner.post("/admin/sites/site/add/", {"name": "Herbarium", "hosts": "herbarium.example", "quota": "0"})
    page = owner.get("/admin/sites/site/")
    site = page.context["cl"].result_list.get(name="Herbarium")
    assert len(site.sitekey) == 24
    assert site.sitekey in page.content.decode()
