"""The plain page over HTTP, as a browser without scripts uses it."""

import json
import re
from collections.abc import Callable
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

import pytest
from django.conf import LazySettings
from django.test import Client
from django.utils import timezone
from hypothesis import example, given
from hypothesis import strategies as st

from drcaptcha.challenges.models import Attempt, Captcha
from drcaptcha.errors import BadRequest
from drcaptcha.glyphs.models import Glyph
from drcaptcha.labelling.models import Vote
from drcaptcha.pages import wording
from drcaptcha.pages.plain import _place, policy
from drcaptcha.sites.dummies import Dummy
from drcaptcha.sites.models import Secret, Site, Traffic
from drcaptcha.sites.registering import close
from drcaptcha.widget.views import parts

FRAMED = {"HTTP_REFERER": "https://www.museum.example/guestbook"}
OURS = {"HTTP_ORIGIN": "http://testserver"}

pytestmark = pytest.mark.django_db


@pytest.fixture
def site() -> Site:
    return Site.objects.create(name="Museum", hosts=["www.museum.example", ".archive.example", "::1"])


@pytest.fixture
def captcha(stock: list[Glyph], make_captcha: Callable[..., Captcha]) -> Captcha:
    return make_captcha("eaATOM", known="eaAT")


def address(site: Site, **asked: str) -> str:
    return f"/challenge/{site.sitekey}" + (f"?{urlencode(asked)}" if asked else "")


def field(html: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', html)
    assert found, html
    return found[1]


def response_in(html: str) -> str:
    found = re.search(r"<textarea[^>]* readonly[^>]*>([^<]+)</textarea>", html)
    assert found, html
    return found[1]


def redeemed(client: Client, site: Site, response: str) -> dict[str, Any]:
    secret = Secret.issue(site, timezone.now())
    said: dict[str, Any] = client.post(
        "/turnstile/v0/siteverify", {"secret": secret, "response": response + "\r\n"}
    ).json()
    return said


def test_a_visitor_passes_and_takes_the_response_along(client: Client, site: Site, captcha: Captcha) -> None:
    page = address(site, action="login", cdata="order-1234")
    shown = client.get(page, **FRAMED)
    html = shown.content.decode()
    assert 'src="data:image/' in html
    assert "<script" not in html
    assert "no-store" in shown["Cache-Control"]
    answered = client.post(page, {"challenge": field(html, "challenge"), "answer": "eaATOM"}, **OURS)
    assert set(Vote.objects.values_list("typed", flat=True)) == {"O", "M"}
    said = redeemed(client, site, response_in(answered.content.decode()))
    assert (said["success"], said["hostname"]) == (True, "www.museum.example")
    assert (said["action"], said["cdata"]) == ("login", "order-1234")
    assert Traffic.objects.values("issued", "passed", "redeemed").get() == {"issued": 1, "passed": 1, "redeemed": 1}
    assert not client.cookies


def test_what_is_sealed_stays_through_wrong_answers_and_other_kinds(
    client: Client, site: Site, captcha: Captcha, make_captcha: Callable[..., Captcha]
) -> None:
    make_captcha("eaATOM", known="eaAT")
    page = address(site)
    html = client.get(page, **FRAMED).content.decode()
    html = client.post(page, {"challenge": field(html, "challenge"), "answer": "nothing"}, **OURS).content.decode()
    assert "That was not right." in html
    assert not Vote.objects.exists()
    form = {"challenge": field(html, "challenge"), "kind": "picture", "answer": "", "next": "audio"}
    html = client.post(page, form, **OURS).content.decode()
    assert Attempt.objects.count() == 1
    assert '<audio controls aria-label="Type the 6 characters that you hear" src="data:audio/wav;base64,' in html
    form = {"challenge": field(html, "challenge"), "kind": field(html, "kind"), "answer": "12"}
    html = client.post(page, form, **OURS).content.decode()
    assert "<audio" in html
    form |= {"challenge": field(html, "challenge"), "answer": Captcha.objects.latest("pk").spoken}
    html = client.post(page, form, **OURS).content.decode()
    assert redeemed(client, site, response_in(html))["hostname"] == "www.museum.example"


def test_an_answer_counts_once(client: Client, site: Site, captcha: Captcha) -> None:
    html = client.get(address(site)).content.decode()
    form = {"challenge": field(html, "challenge"), "answer": "eaATOM"}
    response_in(client.post(address(site), form).content.decode())
    html = client.post(address(site), form).content.decode()
    assert "This challenge was answered before." in html
    assert "<textarea" not in html


@pytest.mark.parametrize(
    "form", [{}, {"challenge": "made up", "answer": "x"}, {"challenge": "\0", "answer": "\0" * 999}]
)
def test_it_survives_a_broken_form(form: dict[str, str], client: Client, site: Site, captcha: Captcha) -> None:
    answered = client.post(address(site), form)
    assert answered.status_code == HTTPStatus.OK
    assert "This challenge was not issued here." in answered.content.decode()


def test_the_response_goes_back_by_a_button(client: Client, site: Site, captcha: Captcha) -> None:
    page = address(site, field="captcha", **{"return": "https://books.archive.example:8443/send?draft=7&x=<b>"})
    shown = client.get(page)
    assert "form-action 'self' https://books.archive.example:8443;" in shown["Content-Security-Policy"]
    form = {"challenge": field(shown.content.decode(), "challenge"), "answer": "eaATOM"}
    html = client.post(page, form).content.decode()
    assert 'action="https://books.archive.example:8443/send?draft=7&amp;x=&lt;b&gt;" target="_top"' in html
    assert "<textarea" not in html
    assert redeemed(client, site, field(html, "captcha"))["hostname"] == "books.archive.example"


LISTED = ["www.museum.example", ".archive.example"]


@example("https://www.museum.example@evil.example/")
@example("https://evil.example\\@www.museum.example/")
@example("https://evil.example#@www.museum.example/")
@example("//www.museum.example/")
@example("javascript://www.museum.example/%0aalert(1)")
@example("https://www.museum.example.evil.example/")
@example("https://evilarchive.example/")
@example("https://[::1]/")
@example("https://[www.museum.example]/")
@example("https://")
@given(
    st.builds(
        "".join,
        st.lists(st.sampled_from([*LISTED, "https://", "evil.example", "\\", "@", "/", "#", ":", "?", "[", "\t", "1"])),
    )
)
def test_it_goes_back_to_listed_hosts_alone(text: str) -> None:
    site = Site(name="Museum", hosts=LISTED)
    try:
        found = _place(text, site)
    except BadRequest:
        return
    if found is None:
        assert not text
        return
    # What browsers make of it: https://url.spec.whatwg.org/#authority-state
    authority = re.match(r"https://([^/?#\\]*)", found.geturl())
    assert authority
    host = authority[1].rpartition("@")[2].partition(":")[0]
    assert host == "www.museum.example" or host.endswith("archive.example")


@pytest.mark.parametrize(
    "asked",
    [
        {"return": "https://evil.example/"},
        {"field": "a b"},
        {"action": "a b"},
        {"kind": "smell"},
        {"language": "<b>"},
        {"return": "x" * 3000},
    ],
)
def test_it_refuses_what_it_should_not_be_asked(
    asked: dict[str, str], client: Client, site: Site, captcha: Captcha
) -> None:
    refused = client.get(address(site, **asked))
    assert refused.status_code == HTTPStatus.BAD_REQUEST
    assert "challenge" not in re.findall(r'name="(\w+)"', refused.content.decode())
    assert next(iter(asked.values())) not in refused.content.decode()


def test_pages_of_other_hosts_can_neither_frame_it_nor_link_to_it_nor_send_its_form(
    client: Client, site: Site, captcha: Captcha
) -> None:
    shown = client.get(address(site))
    ancestors = shown["Content-Security-Policy"].partition("frame-ancestors ")[2]
    assert ancestors == "www.museum.example:* archive.example:* *.archive.example:*"
    assert "X-Frame-Options" not in shown
    form = {"challenge": field(shown.content.decode(), "challenge"), "answer": "eaATOM"}
    for origin in ("https://evil.example", "null", "https://www.museum.example"):
        assert client.post(address(site), form, HTTP_ORIGIN=origin).status_code == HTTPStatus.FORBIDDEN
    assert not Attempt.objects.exists()
    for page in (address(site), address(site, **{"return": "https://www.museum.example/"})):
        linked = client.get(page, HTTP_REFERER="https://evil.example/")
        assert linked.status_code == HTTPStatus.FORBIDDEN
        assert "<img" not in linked.content.decode()
    assert client.get(address(site), HTTP_REFERER="http://testserver/api-docs").status_code == HTTPStatus.OK


def test_sites_that_list_no_host_are_in_no_frame() -> None:
    assert "frame-ancestors 'none'" in policy(Site(name=Site.HOME), None)
    assert "frame-ancestors *" in policy(Dummy.PASSES, None)


def test_no_site_no_page(client: Client) -> None:
    assert client.get("/challenge/nobody").status_code == HTTPStatus.NOT_FOUND


def test_it_asks_for_no_work_and_gives_fewer(
    client: Client, site: Site, stock: list[Glyph], settings: LazySettings
) -> None:
    settings.DRCAPTCHA_WORK, settings.DRCAPTCHA_RATE, settings.DRCAPTCHA_SITE_RATE = 20, 30, 120
    html = client.get(address(site)).content.decode()
    html = client.post(address(site), {"challenge": field(html, "challenge"), "answer": "x"}).content.decode()
    assert "That was not right." in html
    for _ in range(3):
        assert client.get(address(site)).status_code == HTTPStatus.OK
    refused = client.get(address(site))
    assert (refused.status_code, refused["Retry-After"]) == (HTTPStatus.TOO_MANY_REQUESTS, "60")
    assert "Wait 60 seconds" in refused.content.decode()
    asked = {"sitekey": site.sitekey}
    others = client.post("/api/v1/challenges", asked, content_type="application/json")
    assert (others.status_code, others.json()["work"]["bits"]) == (HTTPStatus.OK, 20)
    for place in range(20):
        last = client.get(address(site), REMOTE_ADDR=f"203.0.113.{place}").status_code
    assert last == HTTPStatus.TOO_MANY_REQUESTS
    others = client.post("/api/v1/challenges", asked, content_type="application/json", REMOTE_ADDR="203.0.113.99")
    assert others.status_code == HTTPStatus.OK


def test_who_fails_often_waits_sooner(client: Client, site: Site, stock: list[Glyph]) -> None:
    html = client.get(address(site)).content.decode()
    for _ in range(6):
        answered = client.post(address(site), {"challenge": field(html, "challenge"), "answer": "x"})
        html = answered.content.decode() if answered.status_code == HTTPStatus.OK else ""
    assert (answered.status_code, answered["Retry-After"]) == (HTTPStatus.TOO_MANY_REQUESTS, "600")


def test_a_test_key_is_marked(client: Client, stock: list[Glyph]) -> None:
    html = client.get("/challenge/test-passes").content.decode()
    assert "Test key: this protects nothing" in html
    html = client.post(
        "/challenge/test-passes", {"challenge": field(html, "challenge"), "answer": "x"}
    ).content.decode()
    assert response_in(html) == "test-response"


def test_no_sound_where_there_is_none(client: Client, site: Site, captcha: Captcha, settings: LazySettings) -> None:
    settings.DRCAPTCHA_AUDIO = False
    assert "Listen instead" not in client.get(address(site)).content.decode()
    assert client.get(address(site, kind="audio")).status_code == HTTPStatus.NOT_IMPLEMENTED


@pytest.mark.parametrize(
    ("asked", "accepted", "language"),
    [
        ("", "fr-CH, fr;q=0.9, en;q=0.8", "fr"),
        ("de-AT", "fr", "de"),
        ("tlh", "", "en"),
        ("", "iw", "he"),
        ("", "*", "en"),
    ],
)
def test_it_speaks_the_visitors_language(
    asked: str, accepted: str, language: str, client: Client, stock: list[Glyph]
) -> None:
    page = f"/challenge/test-passes?language={asked}"
    html = client.get(page, HTTP_ACCEPT_LANGUAGE=accepted).content.decode()
    direction = "rtl" if language == "he" else "ltr"
    assert f'<html lang="{language}" dir="{direction}">' in html
    assert wording.texts(language)["title"] in html


def test_all_languages_of_the_widget_are_whole() -> None:
    shared = {name[10:-5] for name in parts() if name.startswith("languages/")}
    assert wording.languages() == {"en"} | shared
    english = json.loads((wording.FOLDER / "en.json").read_text())
    for language in wording.languages():
        texts = wording.texts(language)
        for key, text in english.items():
            assert set(re.findall(r"\{\w+\}", texts[key])) == set(re.findall(r"\{\w+\}", text)), (language, key)
            assert language == "en" or texts[key] != text, (language, key)


def test_a_closed_site_says_so_in_the_visitors_language(client: Client, site: Site) -> None:
    close(site, now=timezone.now())
    answer = client.get(address(site), HTTP_ACCEPT_LANGUAGE="de")
    assert answer.status_code == 423
    assert "Diese Website hat ihr Captcha geschlossen." in answer.content.decode()
