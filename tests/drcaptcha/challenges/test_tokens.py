from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from drcaptcha.challenges.tokens import NOWHERE, Context, Purpose, Sealed, seal, unseal
from drcaptcha.errors import ChallengeError, ChallengeExpired

MINUTE = timedelta(minutes=1)


def test_it_opens_what_it_sealed(now: datetime) -> None:
    assert unseal(Purpose.CHALLENGE, seal(Purpose.CHALLENGE, 12, 3, now), MINUTE, now) == Sealed(12, 3, now, NOWHERE)


def test_the_context_travels_along(now: datetime) -> None:
    context = Context("www.example.org", "login", "x" * 255, 1_777_000_000)
    token = seal(Purpose.CHALLENGE, 12, 3, now, context)
    assert unseal(Purpose.CHALLENGE, token, MINUTE, now).context == context
    assert len(token) < 2048


def test_a_token_serves_one_purpose(now: datetime) -> None:
    with pytest.raises(ChallengeError):
        unseal(Purpose.RESPONSE, seal(Purpose.CHALLENGE, 12, 3, now), MINUTE, now)


def test_it_expires(now: datetime) -> None:
    token = seal(Purpose.CHALLENGE, 12, 3, now)
    assert unseal(Purpose.CHALLENGE, token, MINUTE, now + MINUTE)
    with pytest.raises(ChallengeExpired):
        unseal(Purpose.CHALLENGE, token, MINUTE, now + MINUTE + timedelta(seconds=1))


def test_its_length_tells_nothing(now: datetime) -> None:
    assert len({len(seal(Purpose.CHALLENGE, row, 1, now)) for row in (1, 10**6, 2**63 - 1)}) == 1


def test_a_retired_key_still_opens(now: datetime, settings: Settings) -> None:
    token = seal(Purpose.CHALLENGE, 12, 3, now)
    settings.SECRET_KEY_FALLBACKS, settings.SECRET_KEY = [settings.SECRET_KEY], "another key"
    assert unseal(Purpose.CHALLENGE, token, MINUTE, now)[:2] == (12, 3)


@given(position=st.integers(0, 10**6), bit=st.integers(0, 5))
def test_a_changed_token_is_refused(position: int, bit: int) -> None:
    now = datetime.fromisoformat("2026-05-04T12:00:00+00:00")
    token = seal(Purpose.CHALLENGE, 12, 3, now)
    at = position % len(token)
    changed = token[:at] + chr(ord(token[at]) ^ (1 << bit)) + token[at + 1 :]
    with pytest.raises(ChallengeError):
        unseal(Purpose.CHALLENGE, changed, MINUTE, now)


@pytest.mark.parametrize("junk", ["", "a", "AAAAAG", "é" * 100, "\0", "=" * 100])
def test_junk_is_refused(junk: str, now: datetime) -> None:
    with pytest.raises(ChallengeError):
        unseal(Purpose.CHALLENGE, junk, MINUTE, now)
