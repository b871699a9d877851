"""What happens when several visitors come at the same moment."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC
from threading import Barrier
from typing import Any
from uuid import uuid4

import numpy as np
import pytest
from django.db import connection
from django.utils import timezone

from drcaptcha.challenges import composing
from drcaptcha.challenges.issuing import issue
from drcaptcha.challenges.models import Attempt, Captcha
from drcaptcha.challenges.redeeming import Outcome, redeem
from drcaptcha.challenges.tokens import Purpose, seal
from drcaptcha.challenges.verifying import verify
from drcaptcha.errors import ChallengeError, ChallengeUsed, QuotaReached
from drcaptcha.glyphs.models import Glyph
from drcaptcha.labelling.models import Miss, Source, Vote
from drcaptcha.sites.models import Site, Traffic
from drcaptcha.sites.registering import register, remove

pytestmark = pytest.mark.django_db(transaction=True)
CROWD = 12
SERVERS = 50


def at_once(action: Callable[[int], object], crowd: int = CROWD) -> list[object]:
    """Run ``action`` in as many threads as the crowd has heads, all starting together."""
    gate = Barrier(crowd)

    def run(visitor: int) -> object:
        gate.wait()
        try:
            return action(visitor)
        finally:
            connection.close()

    with ThreadPoolExecutor(crowd) as pool:
        return list(pool.map(run, range(crowd)))


def test_of_many_answers_to_one_challenge_one_is_judged(make_captcha: Callable[..., Captcha]) -> None:
    now = timezone.now()
    token = seal(Purpose.CHALLENGE, make_captcha().pk, Site.of(None).pk, now)

    def answer(visitor: int) -> bool:
        try:
            return verify(token, "eaATOM", address=f"192.0.2.{visitor}", now=now).passed
        except ChallengeUsed:
            return False

    assert sorted(at_once(answer)) == [False] * (CROWD - 1) + [True]
    assert (Attempt.objects.count(), Vote.objects.count()) == (1, 2)


def test_no_vote_is_lost_when_all_answer_about_one_glyph(make_captcha: Callable[..., Captcha]) -> None:
    now = timezone.now()
    captchas = [make_captcha("eaATM", known="eaAT") for _ in range(CROWD)]
    for captcha in captchas[1:]:
        captcha.content = captchas[0].content
        captcha.save()
    site = Site.of(None).pk

    def answer(visitor: int) -> bool:
        token = seal(Purpose.CHALLENGE, captchas[visitor].pk, site, now)
        return verify(token, "eaATM", address=f"192.0.2.{visitor}", now=now).passed

    assert all(at_once(answer))
    glyph = Glyph.objects.get(pk=captchas[0].slots[-1].glyph)
    assert (glyph.votes.count(), glyph.label) == (CROWD, "M")
    # Answers that are judged together move it once, so it may pass a state over.
    moves = [d.after_state for d in glyph.decisions.order_by("pk")]
    assert (moves[-1], moves) == ("control", [s for s in ("provisional", "accepted", "control") if s in moves])
    assert Source.objects.filter(honesty__gt=0).count() == CROWD


def test_answers_of_one_source_at_once_all_count(make_captcha: Callable[..., Captcha]) -> None:
    now = timezone.now()
    captchas = [make_captcha("eaATM", known="eaAT") for _ in range(CROWD)]
    site = Site.of(None).pk

    def answer(visitor: int) -> bool:
        token = seal(Purpose.CHALLENGE, captchas[visitor].pk, site, now)
        return verify(token, "eaAxM" if visitor % 2 else "eaATM", address="192.0.2.1", now=now).passed

    assert sum(at_once(answer)) == CROWD // 2
    assert (Vote.objects.count(), Miss.objects.count()) == (CROWD // 2, CROWD // 2)
    assert Source.objects.get().doubt == pytest.approx(CROWD // 2 * 0.25)


def test_no_two_visitors_get_one_captcha(make_captcha: Callable[..., Captcha]) -> None:
    now = timezone.now()
    for _ in range(CROWD):
        make_captcha(available=now)
    site = Site.of(None)
    tokens = at_once(
        lambda visitor: issue(site, address="192.0.2.1", now=now, rng=np.random.default_rng(visitor)).picture
    )
    assert len(set(tokens)) == CROWD


def test_of_fifty_servers_that_redeem_one_response_one_hears_yes(make_captcha: Callable[..., Captcha]) -> None:
    now = timezone.now()
    site, secret = register("library", ["library.example"], now=now)
    token = seal(Purpose.CHALLENGE, make_captcha().pk, site.pk, now)
    response = verify(token, "eaATOM", address="192.0.2.1", now=now).response or ""

    outcomes = at_once(lambda _: redeem(secret, response, now=now).outcome, SERVERS)
    assert outcomes.count(Outcome.PASSED) == 1
    assert outcomes.count(Outcome.USED) == SERVERS - 1
    assert Traffic.objects.get(site=site).redeemed == 1


def test_a_server_that_tries_again_by_one_key_always_hears_yes(make_captcha: Callable[..., Captcha]) -> None:
    now, key = timezone.now(), uuid4()
    site, secret = register("library", ["library.example"], now=now)
    token = seal(Purpose.CHALLENGE, make_captcha().pk, site.pk, now)
    response = verify(token, "eaATOM", address="192.0.2.1", now=now).response or ""

    redemptions = at_once(lambda _: redeem(secret, response, now=now, key=key), SERVERS)
    assert len(set(map(repr, redemptions))) == 1
    assert redeem(secret, response, now=now, key=key).outcome is Outcome.PASSED
    assert redeem(secret, response, now=now, key=uuid4()).outcome is Outcome.USED
    assert Traffic.objects.get(site=site).redeemed == 1


def test_a_quota_holds_however_many_ask_at_once(make_captcha: Callable[..., Captcha]) -> None:
    now = timezone.now()
    site, _ = register("library", ["library.example"], quota=5, now=now)
    for _ in range(CROWD):
        make_captcha(available=now)

    def ask(visitor: int) -> bool:
        try:
            return bool(issue(site, address="192.0.2.1", now=now, rng=np.random.default_rng(visitor)))
        except QuotaReached:
            return False

    assert sum(at_once(ask)) == 5
    assert Traffic.objects.get(site=site, day=now.astimezone(UTC).date()).issued == 5


@pytest.mark.parametrize("kind", ["site", "captcha"])
def test_who_answers_while_the_site_or_the_captcha_is_deleted_is_refused(
    kind: str, make_captcha: Callable[..., Captcha], monkeypatch: pytest.MonkeyPatch
) -> None:
    now, captcha = timezone.now(), make_captcha()
    site, _ = register("library", ["library.example"], now=now)
    token = seal(Purpose.CHALLENGE, captcha.pk, site.pk, now)
    meddle(monkeypatch, Captcha, "slots_now", captcha.delete if kind == "captcha" else site.delete)
    with pytest.raises(ChallengeError):
        verify(token, "eaATOM", address="192.0.2.1", now=now)
    assert not Attempt.objects.exists()


@pytest.mark.parametrize("read", ["_LABELS", "_PICTURES"])
def test_a_glyph_that_is_deleted_while_a_captcha_is_composed_is_not_in_it(
    read: str, stock: list[Glyph], monkeypatch: pytest.MonkeyPatch
) -> None:
    now, controls = timezone.now(), [glyph.pk for glyph in stock if glyph.label]
    meddle(monkeypatch, composing, read, Glyph.objects.filter(pk__in=controls[5:]).delete)
    captchas = composing.compose(4, now=now, rng=np.random.default_rng(7))
    left = set(Glyph.objects.values_list("pk", flat=True))
    assert {slot.glyph for captcha in captchas for slot in captcha.slots} <= left
    assert min(sum(slot.gates for slot in captcha.slots) for captcha in captchas) >= 4


def meddle(monkeypatch: pytest.MonkeyPatch, where: object, name: str, action: Callable[[], object]) -> None:
    """Have somebody do something just before a part of a flow is done the first time."""
    real, waiting = getattr(where, name), [action]

    def meddled(*arguments: Any, **named: Any) -> Any:
        while waiting:
            waiting.pop()()
        return real(*arguments, **named)

    monkeypatch.setattr(where, name, meddled)


def test_a_site_can_be_deleted_while_its_visitors_answer(make_captcha: Callable[..., Captcha]) -> None:
    now = timezone.now()
    site, _ = register("library", ["library.example"], now=now)
    tokens = [seal(Purpose.CHALLENGE, make_captcha().pk, site.pk, now) for _ in range(5 * CROWD)]

    def answer(visitor: int) -> int:
        if visitor == 0:
            remove(site)
            return 0
        judged = 0
        for token in tokens[visitor::CROWD]:
            try:
                judged += verify(token, "eaATOM", address=f"192.0.2.{visitor}", now=now).passed
            except ChallengeError:
                continue
        return judged

    at_once(answer)
    assert not Site.objects.filter(pk=site.pk).exists()
    assert not Attempt.objects.exists()
