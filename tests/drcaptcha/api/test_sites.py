"""Challenges of registered sites: where they may be shown, how many there are, and what is counted."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import StringIO

import pytest
from django.core.management import call_command
from django.test import Client
from django.utils import timezone

from drcaptcha.challenges.models import NEVER, Attempt, Captcha
from drcaptcha.challenges.tokens import Purpose, seal
from drcaptcha.challenges.verifying import verify
from drcaptcha.glyphs.models import Glyph, State
from drcaptcha.labelling import estimating
from drcaptcha.labelling.models import Source, Vote
from drcaptcha.sites.models import Site, Traffic
from drcaptcha.sites.registering import close, reopen
from tests.registered import ORIGIN, Create, Keys, PassOn

MakeCaptcha = Callable[..., Captcha]
pytestmark = pytest.mark.django_db


def challenge(client: Client, body: dict[str, str], **headers: str) -> tuple[int, dict[str, object]]:
    response = client.post("/api/v1/challenges", body, "application/json", headers=headers)
    return response.status_code, response.json()


def code_of(refusal: dict[str, object]) -> str:
    return str(refusal["error"]["code"])  # type: ignore[index]


@pytest.fixture(autouse=True)
def pool(make_captcha: MakeCaptcha) -> None:
    for _ in range(4):
        make_captcha(available=datetime(2026, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Origin": ORIGIN}, 200),
        ({"Origin": "https://www.museum.example:8443"}, 200),
        ({"Referer": f"{ORIGIN}/contact?page=1"}, 200),
        ({"Origin": ORIGIN, "Referer": "https://elsewhere.example/"}, 200),
        ({}, 200),
        ({"Origin": "https://library.example"}, 403),
        ({"Origin": "https://a.www.museum.example"}, 403),
        ({"Origin": "https://elsewhere.example"}, 403),
        ({"Origin": "https://elsewhere.example", "Referer": f"{ORIGIN}/"}, 403),
        ({"Origin": "http://localhost:3000"}, 403),
        ({"Origin": "http://127.0.0.1"}, 403),
        ({"Origin": "null"}, 403),
        ({"Referer": "nonsense"}, 403),
    ],
)
def test_a_challenge_is_shown_where_the_site_says(
    client: Client, library: Keys, headers: dict[str, str], status: int
) -> None:
    got, answer = challenge(client, {"sitekey": library.sitekey}, **headers)
    assert got == status
    if status == 403:
        assert code_of(answer) == "host-not-allowed"
        assert not Traffic.objects.exists()


def test_a_closed_sites_keys_are_refused_at_once_until_it_is_opened_again(
    client: Client, library: Keys, pass_on: PassOn
) -> None:
    site, asked = Site.objects.get(sitekey=library.sitekey), {"sitekey": library.sitekey}
    response = pass_on(library)
    _, issued = challenge(client, asked, Origin=ORIGIN)
    answer = {"challenge": issued["challenge"], "answer": "eaATOM"}
    close(site, now=timezone.now())
    before = Traffic.objects.get().issued
    refusal = client.post("/api/v1/challenges", asked, "application/json", headers={"Origin": ORIGIN})
    assert (refusal.status_code, code_of(refusal.json())) == (423, "site-closed")
    assert refusal["Access-Control-Allow-Origin"] == ORIGIN, "so that the widget can say so"
    late = client.post("/api/v1/answers", answer, "application/json", headers={"Origin": ORIGIN})
    assert (late.status_code, code_of(late.json())) == (423, "site-closed")
    server = {"secret": library.secret, "response": response}
    assert client.post("/recaptcha/api/siteverify", server).json()["error-codes"] == ["invalid-input-secret"]
    assert Traffic.objects.get().issued == before
    reopen(site)
    assert client.post("/recaptcha/api/siteverify", server).json()["success"] is True
    assert client.post("/api/v1/answers", answer, "application/json", headers={"Origin": ORIGIN}).json()["passed"]


def test_with_a_site_go_its_keys_and_counts_while_votes_and_labels_stay(
    client: Client, library: Keys, pass_on: PassOn
) -> None:
    response = pass_on(library)
    votes, labels = Vote.objects.count(), list(Glyph.objects.values_list("pk", "label", "posterior"))
    _, issued = challenge(client, {"sitekey": library.sitekey}, Origin=ORIGIN)
    Site.objects.get(sitekey=library.sitekey).delete()
    assert challenge(client, {"sitekey": library.sitekey}, Origin=ORIGIN)[0] == 404
    late = client.post("/api/v1/answers", {"challenge": issued["challenge"], "answer": "eaATOM"}, "application/json")
    assert code_of(late.json()) == "challenge-invalid"
    server = {"secret": library.secret, "response": response}
    assert client.post("/recaptcha/api/siteverify", server).json()["error-codes"] == ["invalid-input-secret"]
    assert not Traffic.objects.exists()
    assert not Attempt.objects.exists()
    assert Vote.objects.count() == votes > 0
    assert set(Source.objects.values_list("site", flat=True)) == {None}
    assert list(Glyph.objects.values_list("pk", "label", "posterior")) == labels
    assert estimating.relabel(now=timezone.now()) == 0
    answered = Captcha.objects.filter(available=NEVER)
    assert answered.count() == 1
    call_command("forget", "--days", "2", stdout=StringIO())
    assert not answered.exists()


def test_localhost_is_a_host_where_it_is_listed(client: Client, create_site: Create) -> None:
    keys = create_site("Library", "localhost")
    assert challenge(client, {"sitekey": keys.sitekey}, Origin="http://localhost:3000")[0] == 200


def test_an_answer_from_elsewhere_is_not_taken(client: Client, library: Keys) -> None:
    _, issued = challenge(client, {"sitekey": library.sitekey}, Origin=ORIGIN)
    answer = {"challenge": issued["challenge"], "answer": "eaATOM"}
    elsewhere = {"Origin": "https://elsewhere.example"}
    refusal = client.post("/api/v1/answers", answer, "application/json", headers=elsewhere)
    assert (refusal.status_code, code_of(refusal.json())) == (403, "host-not-allowed")
    query = {"captcha": issued["challenge"], "value": "eaATOM"}
    assert client.get("/api/test-captcha", query, headers={"Referer": "https://elsewhere.example/"}).status_code == 403
    assert not Attempt.objects.exists()
    taken = client.post("/api/v1/answers", answer, "application/json", headers={"Origin": ORIGIN})
    assert taken.json()["passed"] is True


@pytest.mark.parametrize("headers", [{}, {"Origin": "http://testserver"}, {"Origin": "https://elsewhere.example"}])
def test_who_names_no_site_is_tied_to_no_host(client: Client, headers: dict[str, str]) -> None:
    assert challenge(client, {}, **headers)[0] == 200


@pytest.mark.parametrize(
    "said", [{"action": "a b"}, {"action": "x" * 65}, {"cdata": "x" * 256}, {"cdata": 'x"'}, {"action": "ä"}]
)
def test_what_is_said_of_a_challenge_is_plain_and_short(client: Client, library: Keys, said: dict[str, str]) -> None:
    status, refusal = challenge(client, {"sitekey": library.sitekey, **said})
    assert (status, code_of(refusal)) == (400, "bad-request")


def test_a_site_gets_no_more_challenges_a_day_than_its_quota(client: Client, create_site: Create) -> None:
    keys, other = create_site("Library", "a.example", "--quota", "2"), create_site("Museum", "b.example")
    assert [challenge(client, {"sitekey": keys.sitekey})[0] for _ in range(3)] == [200, 200, 429]
    status, refusal = challenge(client, {"sitekey": keys.sitekey})
    assert (status, code_of(refusal)) == (429, "quota-reached")
    refused = client.post("/api/v1/challenges", {"sitekey": keys.sitekey}, content_type="application/json")
    assert 0 < int(refused["Retry-After"]) <= 24 * 60 * 60
    assert challenge(client, {"sitekey": other.sitekey})[0] == 200
    assert Traffic.objects.get(site__name="Library").issued == 2
    assert Captcha.objects.filter(available__gt=timezone.now()).count() == 3
    Traffic.objects.update(day=timezone.now().date() - timedelta(days=1))
    assert challenge(client, {"sitekey": keys.sitekey})[0] == 200


def test_what_could_not_be_issued_does_not_count(client: Client, create_site: Create) -> None:
    keys = create_site("Library", "a.example", "--quota", "1")
    Captcha.objects.update(available=NEVER)
    Glyph.objects.update(label="", state=State.UNKNOWN)
    assert [challenge(client, {"sitekey": keys.sitekey})[0] for _ in range(2)] == [503, 503]
    assert Traffic.objects.get().issued == 0


def test_it_counts_by_day_what_comes_of_challenges(
    client: Client, create_site: Create, library: Keys, pass_on: PassOn
) -> None:
    museum = create_site("Museum", "museum.example")
    responses = [pass_on(library), pass_on(library)]
    _, lost = challenge(client, {"sitekey": library.sitekey})
    wrong = {"challenge": lost["challenge"], "answer": "xxxxxx"}
    client.post("/api/v1/answers", wrong, "application/json")
    client.post("/api/v1/answers", wrong, "application/json")
    challenge(client, {"sitekey": museum.sitekey})
    fields = {"secret": library.secret, "response": responses[0]}
    client.post("/hcaptcha/siteverify", fields)
    client.post("/hcaptcha/siteverify", fields)
    counted = Traffic.objects.get(site__name="Library")
    assert counted.day == timezone.now().date()
    assert (counted.issued, counted.passed, counted.failed, counted.redeemed) == (3, 2, 1, 1)
    assert Traffic.objects.get(site__name="Museum").issued == 1


def test_it_counts_the_labels_that_a_site_has_earned(
    library: Keys, create_site: Create, make_captcha: MakeCaptcha, now: datetime
) -> None:
    museum = create_site("Museum", "museum.example")
    captchas = [make_captcha("eaATM", known="eaAT") for _ in range(4)]
    for place, (captcha, keys) in enumerate(zip(captchas, (library, library, library, museum), strict=True)):
        captcha.content = captchas[0].content
        captcha.save()
        moment = now + timedelta(minutes=place)
        token = seal(Purpose.CHALLENGE, captcha.pk, Site.of(keys.sitekey).pk, moment)
        assert verify(token, "eaATM", address=f"192.0.2.{place}", now=moment).passed
    glyph = Glyph.objects.get(pk=captchas[0].slots[-1].glyph)
    assert glyph.label == "M"
    assert Traffic.objects.get(site__name="Library").labels == 1
    assert Traffic.objects.get(site__name="Museum").labels == 0


def test_the_services_own_pages_have_a_quota_too(client: Client) -> None:
    site = Site.of(None)
    site.quota = 1
    site.save()
    assert challenge(client, {})[0] == 200
    old = client.get("/api/get-captcha")
    assert (old.status_code, set(old.json())) == (429, {"message"})
    page = client.get("/test-captcha")
    assert page.status_code == 429
    assert "has had its challenges for today" in page.content.decode()
