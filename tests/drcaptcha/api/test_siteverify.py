"""A site's server redeems responses, as reCAPTCHA, hCaptcha and Turnstile have published it."""

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.db import OperationalError
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from drcaptcha.challenges import redeeming
from drcaptcha.challenges.models import Attempt, Captcha
from drcaptcha.challenges.redeeming import Outcome, redeem
from drcaptcha.sites.models import Secret, Site, Traffic
from tests.registered import Create, Keys, PassOn

MakeCaptcha = Callable[..., Captcha]

RECAPTCHA = "/recaptcha/api/siteverify"
HCAPTCHA = "/hcaptcha/siteverify"
TURNSTILE = "/turnstile/v0/siteverify"
ALL = (RECAPTCHA, HCAPTCHA, TURNSTILE)

pytestmark = pytest.mark.django_db
every_dialect = pytest.mark.parametrize("path", ALL)


def ask(client: Client, path: str, **fields: str) -> dict[str, object]:
    """Send a form, as all three services take it."""
    response = client.post(path, fields)
    assert response.status_code == 200
    assert response["Content-Type"] == "application/json"
    assert response["Cache-Control"] == "no-store"
    body: dict[str, object] = response.json()
    return body


def refused(*codes: str) -> dict[str, object]:
    return {"success": False, "error-codes": list(codes)}


def test_recaptcha_says_when_and_where(client: Client, library: Keys, pass_on: PassOn) -> None:
    before = timezone.now() - timedelta(seconds=1)
    outcome = ask(client, RECAPTCHA, secret=library.secret, response=pass_on(library), remoteip="198.51.100.7")
    stamp = str(outcome.pop("challenge_ts"))
    assert outcome == {"success": True, "hostname": "www.museum.example"}
    assert len(stamp) == len("2026-11-25T03:10:44Z")
    assert before <= datetime.fromisoformat(stamp) <= timezone.now()


def test_recaptcha_repeats_the_action(client: Client, library: Keys, pass_on: PassOn) -> None:
    response = pass_on(library, action="account/login", cdata="order-12")
    assert ask(client, RECAPTCHA, secret=library.secret, response=response)["action"] == "account/login"


def test_hcaptcha_says_when_and_where(client: Client, library: Keys, pass_on: PassOn) -> None:
    outcome = ask(client, HCAPTCHA, secret=library.secret, response=pass_on(library), sitekey=library.sitekey)
    assert datetime.fromisoformat(str(outcome.pop("challenge_ts")))
    assert outcome == {"success": True, "hostname": "www.museum.example", "credit": True}


def test_turnstile_repeats_action_and_cdata(client: Client, library: Keys, pass_on: PassOn) -> None:
    response = pass_on(library, action="login", cdata="order-12")
    outcome = ask(client, TURNSTILE, secret=library.secret, response=response)
    stamp = str(outcome.pop("challenge_ts"))
    assert len(stamp) == len("2026-11-25T03:10:44.000Z")
    assert datetime.fromisoformat(stamp)
    assert outcome == {
        "success": True,
        "hostname": "www.museum.example",
        "error-codes": [],
        "action": "login",
        "cdata": "order-12",
    }


def test_turnstile_takes_json(client: Client, library: Keys, pass_on: PassOn) -> None:
    body = {"secret": library.secret, "response": pass_on(library), "remoteip": None}
    assert client.post(TURNSTILE, body, "application/json").json()["success"] is True


@pytest.mark.parametrize("path", [RECAPTCHA, HCAPTCHA])
def test_the_others_do_not(client: Client, library: Keys, pass_on: PassOn, path: str) -> None:
    response = pass_on(library)
    body = {"secret": library.secret, "response": response}
    refusal = client.post(path, body, "application/json")
    assert (refusal.status_code, refusal.json()) == (200, refused("bad-request"))
    assert ask(client, path, **body)["success"] is True


@every_dialect
def test_a_plain_form_is_taken_as_well_as_one_in_parts(
    client: Client, library: Keys, pass_on: PassOn, path: str
) -> None:
    form = f"secret={library.secret}&response={pass_on(library)}"
    assert client.post(path, form, "application/x-www-form-urlencoded").json()["success"] is True


@pytest.mark.parametrize(
    ("path", "code"),
    [(RECAPTCHA, "timeout-or-duplicate"), (HCAPTCHA, "already-seen-response"), (TURNSTILE, "timeout-or-duplicate")],
)
def test_a_response_is_redeemed_once(client: Client, library: Keys, pass_on: PassOn, path: str, code: str) -> None:
    fields = {"secret": library.secret, "response": pass_on(library)}
    assert ask(client, path, **fields)["success"] is True
    for again in ALL:
        assert ask(client, again, **fields)["success"] is False
    assert ask(client, path, **fields) == refused(code)


@pytest.mark.parametrize(
    ("path", "code"),
    [(RECAPTCHA, "timeout-or-duplicate"), (HCAPTCHA, "expired-input-response"), (TURNSTILE, "timeout-or-duplicate")],
)
def test_a_response_lives_two_minutes(client: Client, library: Keys, passed_at: PassOn, path: str, code: str) -> None:
    now = timezone.now()
    fresh, stale = (passed_at(library, now - timedelta(seconds=age)) for age in (110, 122))
    assert ask(client, path, secret=library.secret, response=fresh)["success"] is True
    assert ask(client, path, secret=library.secret, response=stale) == refused(code)
    ancient = passed_at(library, now - timedelta(days=9))
    assert ask(client, path, secret=library.secret, response=ancient) == refused(code)


@every_dialect
def test_a_response_is_of_one_site(
    client: Client, create_site: Create, library: Keys, pass_on: PassOn, path: str
) -> None:
    museum, response = create_site("Museum", "museum.example"), pass_on(library)
    code = "sitekey-secret-mismatch" if path == HCAPTCHA else "invalid-input-response"
    assert ask(client, path, secret=museum.secret, response=response) == refused(code)
    assert ask(client, path, secret=library.secret, response=response)["success"] is True


def test_hcaptcha_pins_the_site_key(client: Client, create_site: Create, library: Keys, pass_on: PassOn) -> None:
    museum, response = create_site("Museum", "museum.example"), pass_on(library)
    fields = {"secret": library.secret, "response": response}
    for other in (museum.sitekey, "made-up", "é\0"):
        assert ask(client, HCAPTCHA, **fields, sitekey=other) == refused("sitekey-secret-mismatch")
    assert ask(client, HCAPTCHA, **fields, sitekey=library.sitekey)["success"] is True


def test_a_response_from_a_host_that_is_not_listed_any_more_is_refused(
    client: Client, library: Keys, passed_at: PassOn
) -> None:
    response = passed_at(library, timezone.now(), "old.museum.example")
    assert ask(client, RECAPTCHA, secret=library.secret, response=response) == refused("invalid-input-response")


@every_dialect
def test_what_is_missing_is_named(client: Client, path: str) -> None:
    assert ask(client, path) == refused("missing-input-secret", "missing-input-response")
    assert ask(client, path, secret="x") == refused("missing-input-response")
    assert ask(client, path, response="x") == refused("missing-input-secret")
    assert ask(client, path, secret=" ", response="x") == refused("missing-input-secret")


@every_dialect
@pytest.mark.parametrize("secret", ["x", "é" * 40, "\0" * 48, "x" * 9000, "' OR 1=1 --"])
def test_a_secret_that_is_none_is_refused(
    client: Client, library: Keys, pass_on: PassOn, path: str, secret: str
) -> None:
    assert ask(client, path, secret=secret, response=pass_on(library)) == refused("invalid-input-secret")


def test_a_secret_has_to_be_right_to_the_last_character(client: Client, library: Keys, pass_on: PassOn) -> None:
    response = pass_on(library)
    for wrong in (library.secret[:-1], library.secret + "x", library.secret[:-1] + "é", library.secret.swapcase()):
        assert ask(client, RECAPTCHA, secret=wrong, response=response) == refused("invalid-input-secret")
    assert ask(client, RECAPTCHA, secret=f" {library.secret}\n", response=response)["success"] is True


@every_dialect
@pytest.mark.parametrize("response", ["x", "AAAAAG", "é\0", "x" * 9000])
def test_a_response_that_is_none_is_refused(client: Client, library: Keys, path: str, response: str) -> None:
    assert ask(client, path, secret=library.secret, response=response) == refused("invalid-input-response")


def test_a_challenge_is_no_response(client: Client, library: Keys, make_captcha: MakeCaptcha) -> None:
    make_captcha(available=timezone.now())
    challenge = client.post("/api/v1/challenges", {"sitekey": library.sitekey}, "application/json").json()["challenge"]
    assert ask(client, RECAPTCHA, secret=library.secret, response=challenge) == refused("invalid-input-response")


@pytest.mark.parametrize("body", ["{", "[]", '"x"', '{"secret": 7, "response": "x"}', '{"response": {}}', "[" * 5000])
def test_turnstile_refuses_json_of_another_form(client: Client, body: str) -> None:
    response = client.post(TURNSTILE, body, "application/json")
    assert (response.status_code, response.json()) == (200, refused("bad-request"))


def test_json_that_no_encoding_can_hold_is_refused(client: Client) -> None:
    body = '{"secret": "\\ud800", "response": "\\ud800"}'
    assert client.post(TURNSTILE, body, "application/json").json() == refused("invalid-input-secret")


@every_dialect
@pytest.mark.parametrize("kind", ["text/plain", "multipart/form-data", "multipart/form-data; boundary=é"])
def test_what_can_not_be_read_is_refused(client: Client, path: str, kind: str) -> None:
    response = client.post(path, b"secret=x&response=y", kind)
    assert (response.status_code, response.json()) == (200, refused("bad-request"))


@every_dialect
@pytest.mark.parametrize("method", ["get", "put", "delete", "head"])
def test_it_is_posted_to(client: Client, path: str, method: str) -> None:
    response = getattr(client, method)(path, {"secret": "x", "response": "y"})
    assert (response.status_code, response["Allow"]) == (405, "POST")


@every_dialect
def test_a_large_body_is_not_read(client: Client, path: str) -> None:
    response = client.post(path, "x" * 40_000, "application/x-www-form-urlencoded")
    assert (response.status_code, response.json()) == (413, refused("bad-request"))


@every_dialect
def test_a_body_of_unknown_length_is_not_read(client: Client, path: str) -> None:
    response = client.generic("POST", path, headers={"Transfer-Encoding": "chunked"})
    assert response.status_code == 411


@every_dialect
def test_it_needs_no_cookie(library: Keys, pass_on: PassOn, path: str) -> None:
    strict = Client(enforce_csrf_checks=True)
    assert ask(strict, path, secret=library.secret, response=pass_on(library))["success"] is True


def test_by_a_key_turnstile_says_the_same_again(client: Client, library: Keys, pass_on: PassOn) -> None:
    fields = {"secret": library.secret, "response": pass_on(library, action="login"), "idempotency_key": str(uuid4())}
    first = ask(client, TURNSTILE, **fields)
    assert first["success"] is True
    assert ask(client, TURNSTILE, **fields) == first
    assert client.post(TURNSTILE, fields, "application/json").json() == first
    assert ask(client, TURNSTILE, **fields | {"idempotency_key": str(uuid4())}) == refused("timeout-or-duplicate")
    assert ask(client, RECAPTCHA, **fields) == refused("timeout-or-duplicate")
    assert Traffic.objects.get().redeemed == 1


def test_by_a_key_it_says_so_even_after_two_minutes(client: Client, library: Keys, passed_at: PassOn) -> None:
    then, key = timezone.now() - timedelta(minutes=3), uuid4()
    fields = {"secret": library.secret, "response": passed_at(library, then)}
    assert redeem(**fields, key=key, now=then).outcome is Outcome.PASSED
    assert ask(client, TURNSTILE, **fields, idempotency_key=str(key))["success"] is True
    assert ask(client, TURNSTILE, **fields, idempotency_key=str(uuid4())) == refused("timeout-or-duplicate")
    assert ask(client, HCAPTCHA, **fields) == refused("already-seen-response")


def test_a_key_does_not_open_what_was_redeemed_without(client: Client, library: Keys, pass_on: PassOn) -> None:
    fields = {"secret": library.secret, "response": pass_on(library)}
    ask(client, TURNSTILE, **fields)
    assert ask(client, TURNSTILE, **fields, idempotency_key=str(uuid4())) == refused("timeout-or-duplicate")


def test_a_key_that_is_no_uuid_is_refused(client: Client, library: Keys, pass_on: PassOn) -> None:
    fields = {"secret": library.secret, "response": pass_on(library)}
    assert ask(client, TURNSTILE, **fields, idempotency_key="once") == refused("bad-request")
    assert ask(client, TURNSTILE, **fields)["success"] is True


def test_a_visitor_without_an_origin_has_no_host(client: Client, library: Keys, pass_on: PassOn) -> None:
    response = pass_on(library, origin=None)
    assert ask(client, RECAPTCHA, secret=library.secret, response=response)["hostname"] == ""


def test_no_address_is_kept(client: Client, library: Keys, pass_on: PassOn) -> None:
    ask(client, RECAPTCHA, secret=library.secret, response=pass_on(library), remoteip="198.51.100.7")
    attempt = Attempt.objects.get()
    assert "198.51.100.7" not in repr({name: getattr(attempt, name) for name in vars(attempt)})


# Secrets and their change


def test_only_the_hash_of_a_secret_is_kept(library: Keys) -> None:
    secret = Secret.objects.get()
    assert library.secret not in repr(vars(secret))
    assert library.secret.startswith(secret.start)
    assert len(library.secret) == 48


def test_the_old_secret_holds_for_two_more_hours(
    client: Client, library: Keys, pass_on: PassOn, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("rotatesecret", library.sitekey, "--json")
    new = json.loads(capsys.readouterr().out)
    assert new["sitekey"] == library.sitekey
    until = datetime.fromisoformat(new["old_secret_until"])
    assert timedelta(minutes=119) < until - timezone.now() <= timedelta(hours=2)
    for secret in (library.secret, new["secret"]):
        assert ask(client, RECAPTCHA, secret=secret, response=pass_on(library))["success"] is True
    Secret.objects.exclude(ends=None).update(ends=timezone.now())
    response = pass_on(library)
    assert ask(client, RECAPTCHA, secret=library.secret, response=response) == refused("invalid-input-secret")
    assert ask(client, RECAPTCHA, secret=new["secret"], response=response)["success"] is True


def test_a_secret_that_was_seen_can_be_ended_at_once(client: Client, library: Keys, pass_on: PassOn) -> None:
    call_command("rotatesecret", library.sitekey, "--at-once")
    refusal = ask(client, RECAPTCHA, secret=library.secret, response=pass_on(library))
    assert refusal == refused("invalid-input-secret")
    assert Secret.objects.filter(site=Site.of(library.sitekey)).count() == 1


# Keys for tests


@every_dialect
@pytest.mark.parametrize(
    "secret",
    [
        "test-secret-passes",
        "1x0000000000000000000000000000000AA",
        "6LeIxAcTAAAAAGG-vFI1TnRWxMZNFuojJ4WifJWe",
        "0x0000000000000000000000000000000000000000",
    ],
)
def test_a_test_key_always_passes(client: Client, path: str, secret: str) -> None:
    for _ in range(2):
        outcome = ask(client, path, secret=secret, response="XXXX.DUMMY.TOKEN.XXXX")
        assert (outcome["success"], outcome["hostname"]) == (True, "localhost")


@pytest.mark.parametrize("secret", ["test-secret-fails", "2x0000000000000000000000000000000AA"])
@every_dialect
def test_a_test_key_always_fails(client: Client, path: str, secret: str) -> None:
    assert ask(client, path, secret=secret, response="x") == refused("invalid-input-response")


@pytest.mark.parametrize("secret", ["test-secret-used", "3x0000000000000000000000000000000AA"])
@pytest.mark.parametrize(
    ("path", "code"),
    [(RECAPTCHA, "timeout-or-duplicate"), (HCAPTCHA, "already-seen-response"), (TURNSTILE, "timeout-or-duplicate")],
)
def test_a_test_key_always_says_used(client: Client, path: str, code: str, secret: str) -> None:
    assert ask(client, path, secret=secret, response="x") == refused(code)


@pytest.mark.parametrize(
    ("sitekey", "passed"),
    [
        ("test-passes", True),
        ("test-fails", False),
        ("test-used", True),
        pytest.param("3x00000000000000000000FF", True, id="Turnstile, always asks"),
        pytest.param("20000000-ffff-ffff-ffff-000000000002", True, id="hCaptcha, safe"),
        pytest.param("30000000-ffff-ffff-ffff-000000000003", False, id="hCaptcha, a bot"),
    ],
)
def test_a_challenge_for_a_test_key_passes_or_fails_whatever_is_typed(
    client: Client, make_captcha: MakeCaptcha, sitekey: str, passed: bool
) -> None:
    make_captcha(available=timezone.now())
    headers = {"Origin": "http://localhost:3000"}
    challenge = client.post("/api/v1/challenges", {"sitekey": sitekey}, "application/json", headers=headers).json()
    assert challenge["image"].startswith("data:image/")
    answer = {"challenge": challenge["challenge"], "answer": "anything"}
    verdict = client.post("/api/v1/answers", answer, "application/json").json()
    assert verdict == {"passed": passed, "response": "test-response" if passed else None}
    assert not Attempt.objects.exists()
    assert not Traffic.objects.exists()


def test_test_keys_can_be_refused(client: Client, library: Keys, make_captcha: MakeCaptcha, settings: Settings) -> None:
    make_captcha(available=timezone.now())
    challenge = client.post("/api/v1/challenges", {"sitekey": "test-passes"}, "application/json").json()["challenge"]
    settings.DRCAPTCHA_TEST_KEYS = False
    for secret in ("test-secret-passes", "1x0000000000000000000000000000000AA"):
        assert ask(client, RECAPTCHA, secret=secret, response="test-response") == refused("invalid-input-secret")
    assert ask(client, RECAPTCHA, secret=library.secret, response="test-response") == refused("invalid-input-response")
    refusal = client.post("/api/v1/challenges", {"sitekey": "test-passes"}, "application/json")
    assert refusal.status_code == 404
    answer = client.post("/api/v1/answers", {"challenge": challenge, "answer": "x"}, "application/json")
    assert answer.json()["error"]["code"] == "challenge-invalid"


@pytest.mark.parametrize("path", [RECAPTCHA, HCAPTCHA, TURNSTILE])
def test_while_the_database_takes_nothing_a_response_is_not_used_up(
    client: Client, library: Keys, pass_on: PassOn, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    response = pass_on(library)

    def fail(*_: object) -> None:
        raise OperationalError("database is locked")

    with monkeypatch.context() as broken:
        broken.setattr(redeeming, "asked", fail)
        answer = client.post(path, {"secret": library.secret, "response": response})
    assert (answer.status_code, answer.json()) == (503, refused("internal-error"))
    assert ask(client, path, secret=library.secret, response=response)["success"]
