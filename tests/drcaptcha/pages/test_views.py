"""The pages over HTTP."""

import re
from collections.abc import Callable, Iterator
from datetime import datetime

import pytest
from django.contrib.staticfiles import finders
from django.core.cache import cache
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries, Settings

from drcaptcha.challenges.models import Attempt, Captcha
from drcaptcha.glyphs.models import Glyph
from drcaptcha.labelling.models import Source, Vote
from drcaptcha.learning.models import Ensemble
from drcaptcha.sites.models import Site

PAGES = ("home", "methodology", "test-captcha", "canvas", "api-docs")

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _no_figures_of_another_test() -> Iterator[None]:
    cache.clear()
    yield
    cache.clear()


def text(client: Client, name: str) -> str:
    return client.get(reverse(name)).content.decode()


def field(html: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', html)
    assert found
    return found[1]


@pytest.mark.parametrize("name", PAGES)
def test_it_serves_the_page(name: str, client: Client, stock: list[Glyph]) -> None:
    response = client.get(reverse(name))
    html = response.content.decode()
    assert response.status_code == 200
    assert html.count("<h1") == 1
    assert 'lang="en"' in html
    for other in PAGES:
        assert f'href="{reverse(other)}"' in html


@pytest.mark.parametrize("name", PAGES)
def test_nothing_is_inline_or_from_elsewhere(name: str, client: Client, stock: list[Glyph]) -> None:
    html = text(client, name)
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=", html)
    assert not re.search(r'(?:src|srcset|action)="(?:https?:)?//|<link[^>]*href="(?:https?:)?//', html)


@pytest.mark.parametrize("name", PAGES)
def test_every_file_that_the_page_names_is_there(name: str, client: Client, stock: list[Glyph]) -> None:
    named = re.findall(r'(?:src|href)="/static/([^"]+)"', text(client, name))
    assert "pages/style.css" in named
    assert [path for path in named if not finders.find(path)] == []


@pytest.mark.parametrize("name", PAGES)
def test_it_refuses_other_methods(name: str, client: Client) -> None:
    assert client.delete(reverse(name)).status_code == 405


@pytest.mark.parametrize("name", PAGES)
def test_the_policy_lets_pages_load_from_this_server_only(name: str, client: Client, stock: list[Glyph]) -> None:
    policy = client.get(reverse(name))["Content-Security-Policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy


def test_it_shows_a_page_of_our_own_where_there_is_none(client: Client) -> None:
    response = client.get("/no-such-page")
    assert response.status_code == 404
    assert "Nobody has written this page" in response.content.decode()


def test_it_sends_old_browsers_to_the_icon(client: Client) -> None:
    assert client.get("/favicon.ico")["Location"].endswith("favicon.svg")


def test_the_first_page_shows_the_figures_of_this_server(
    client: Client, stock: list[Glyph], make_glyph: Callable[..., Glyph], now: datetime
) -> None:
    glyph = make_glyph()
    source = Source.objects.create(site=Site.of(None), key="a", created=now)
    for captcha in range(3):
        Vote.objects.create(glyph=glyph, source=source, captcha=captcha, role="probe", typed="K", created=now)
    Glyph.objects.filter(pk=glyph.pk).update(state="accepted", label="K")
    ensemble = Ensemble.objects.create(name="first")
    html = text(client, "home")
    assert re.findall(r"<dd>(.*?)</dd>", html) == ["31", "1", "3", "–"]
    assert "no ensemble was evaluated yet" in html
    assert not ensemble.evaluations.exists()


def test_a_busy_first_page_counts_no_tables(
    client: Client, stock: list[Glyph], django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    text(client, "home")
    with django_assert_num_queries(0):
        text(client, "home")


def test_a_right_answer_passes_without_scripts(
    client: Client, stock: list[Glyph], make_captcha: Callable[..., Captcha]
) -> None:
    captcha = make_captcha("eaATOM", known="eaAT")
    html = text(client, "test-captcha")
    assert 'src="data:image/' in html
    assert 'maxlength="6"' in html
    form = {"challenge": field(html, "challenge"), "answer": "eaATOM"}
    html = client.post(reverse("test-captcha"), form).content.decode()
    assert re.search(r'data-outcome="passed">', html)
    assert field(html, "challenge") != form["challenge"]
    assert set(Vote.objects.values_list("typed", flat=True)) == {"O", "M"}
    assert Attempt.objects.get(captcha=captcha).passed


def test_a_wrong_control_fails_and_labels_nothing(
    client: Client, stock: list[Glyph], make_captcha: Callable[..., Captcha]
) -> None:
    make_captcha("eaATOM", known="eaAT")
    form = {"challenge": field(text(client, "test-captcha"), "challenge"), "answer": "eaAxOM"}
    html = client.post(reverse("test-captcha"), form).content.decode()
    assert re.search(r'data-outcome="failed">', html)
    assert not Vote.objects.exists()


def test_a_second_answer_is_told_to_be_one(
    client: Client, stock: list[Glyph], make_captcha: Callable[..., Captcha]
) -> None:
    make_captcha()
    form = {"challenge": field(text(client, "test-captcha"), "challenge"), "answer": "wrong1"}
    client.post(reverse("test-captcha"), form)
    html = client.post(reverse("test-captcha"), form | {"answer": "eaATOM"}).content.decode()
    assert "This challenge was answered before." in html
    assert not Vote.objects.exists()


@pytest.mark.parametrize("form", [{}, {"challenge": "made up", "answer": "eaATOM"}, {"challenge": "\0"}])
def test_it_survives_a_broken_form(form: dict[str, str], client: Client, stock: list[Glyph]) -> None:
    response = client.post(reverse("test-captcha"), form)
    assert response.status_code == 200
    assert "This challenge was not issued here." in response.content.decode()


def test_it_says_when_there_is_nothing_to_ask(client: Client) -> None:
    response = client.get(reverse("test-captcha"))
    assert response.status_code == 503
    assert re.search(r"data-unavailable>A captcha needs 5 controls", response.content.decode())


def test_a_challenge_is_not_kept_by_caches(client: Client, stock: list[Glyph]) -> None:
    assert "no-store" in client.get(reverse("test-captcha"))["Cache-Control"]


def test_a_form_from_elsewhere_is_refused(stock: list[Glyph]) -> None:
    response = Client(enforce_csrf_checks=True).post(reverse("test-captcha"), {"answer": "x"})
    assert response.status_code == 403
    assert "This form went stale" in response.content.decode()


@pytest.mark.parametrize(
    ("agreement", "words"), [(1, "and one source that"), (2, "two sources that"), (3, "3 sources that")]
)
def test_the_method_tells_how_many_have_to_agree(
    agreement: int, words: str, client: Client, settings: Settings
) -> None:
    settings.DRCAPTCHA_AGREEMENT = agreement
    assert words in " ".join(text(client, "methodology").split())


def test_the_method_tells_of_spoken_challenges_where_there_are_some(client: Client, settings: Settings) -> None:
    settings.DRCAPTCHA_AUDIO = True
    spoken, settings.DRCAPTCHA_AUDIO = text(client, "methodology"), False
    assert "digits spoken instead" in spoken
    assert "digits spoken instead" not in text(client, "methodology")
