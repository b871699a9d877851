"""Sealed tokens: what a visitor carries and can neither read nor make.

AES-GCM (NIST SP 800-38D) seals them with random nonces, which are safe for 2^32 tokens of one key: so there is one for
each purpose and day (UTC). A token is in base64 when it was sealed, the nonce, and the sealed content. Numbers are of
one length, and what else there is was said by the page itself, so the length of a token tells nothing.
"""

import base64
import json
import os
import struct
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import lru_cache
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

from drcaptcha.errors import ChallengeError, ChallengeExpired
from drcaptcha.sites.dummies import Dummy
from drcaptcha.sites.models import Site

_NUMBERS = struct.Struct(">QQ")
_TIME = struct.Struct(">Q")
_NONCE = 12
"""Bytes of a nonce."""
_DAY = 24 * 60 * 60


class Purpose(Enum):
    """What a token is for; each purpose has a key of its own, so that none passes for another."""

    CHALLENGE = b"drcaptcha challenge"
    RESPONSE = b"drcaptcha response"


class Context(NamedTuple):
    """Where a challenge is shown, and what the page said of it. It travels in the token and is stored nowhere.

    ``issued`` are the seconds since 1970 at which the challenge was issued; in its response only. ``bits`` is how much
    proof of work it asks for.
    """

    host: str = ""
    action: str = ""
    cdata: str = ""
    issued: int = 0
    bits: int = 0


NOWHERE = Context()
"""The context of a caller who says nothing of it."""


class Sealed(NamedTuple):
    """What a token names: a row (a captcha or an attempt), a site, when it was sealed, and the context."""

    row: int
    site: int
    at: datetime
    context: Context

    @property
    def dummy(self) -> Dummy | None:
        """What the challenge's test key stands for, where it was issued for one and these are not refused."""
        return next((one for one in Dummy.known() if not self.site and one.name == self.context.cdata), None)


def seal(purpose: Purpose, row: int, site: int, now: datetime, context: Context = NOWHERE) -> str:
    """Return a token that names a row (a captcha or an attempt) and a site."""
    content = _NUMBERS.pack(row, site) + json.dumps(context).encode()
    at, nonce = int(now.timestamp()), os.urandom(_NONCE)
    time, key = _TIME.pack(at), _keys(purpose, at // _DAY, *_secrets())[0]
    return base64.urlsafe_b64encode(time + nonce + key.encrypt(nonce, content, time)).decode()


def seal_dummy(dummy: Dummy, now: datetime) -> str:
    """Return the token of a challenge for a test key: it names no row and no site."""
    return seal(Purpose.CHALLENGE, 0, 0, now, Context(cdata=dummy.name))


def unseal(purpose: Purpose, token: str, lifetime: timedelta, now: datetime) -> Sealed:
    """Return what a token names.

    Raises:
        ChallengeError: the token was not made here, or for another purpose.
        ChallengeExpired: it is older than ``lifetime``.
    """
    try:
        plain = base64.urlsafe_b64decode(token)
        (at,) = _TIME.unpack_from(plain)
        sealed = datetime.fromtimestamp(at, UTC)
    except (ValueError, OverflowError, OSError, struct.error) as error:
        raise ChallengeError from error
    # In base64 the last character has bits to spare, so several spellings would pass for one token.
    content = _opened(plain, _keys(purpose, at // _DAY, *_secrets()))
    if content is None or base64.urlsafe_b64encode(plain).decode() != token:
        raise ChallengeError
    if now - sealed > lifetime:
        raise ChallengeExpired
    row, site = _NUMBERS.unpack_from(content)
    said = content[_NUMBERS.size :]
    return Sealed(row, site, sealed, Context(*json.loads(said)) if said else NOWHERE)


def _opened(plain: bytes, keys: Sequence[AESGCM]) -> bytes | None:
    """Return what one of these keys has sealed, or None where none has."""
    time, nonce, content = plain[: _TIME.size], plain[_TIME.size :][:_NONCE], plain[_TIME.size + _NONCE :]
    for key in keys:
        try:
            return key.decrypt(nonce, content, time)
        except (InvalidTag, ValueError):  # Another key's, or too short.
            continue
    return None


def context_of(challenge: str, site: Site | Dummy, now: datetime) -> Context:
    """Return what a challenge of ``site`` says of where it is shown, whether it has expired or not.

    Whatever is no challenge of it says nothing.
    """
    try:
        sealed = unseal(Purpose.CHALLENGE, challenge, timedelta(days=1), now)
    except ChallengeError:
        return NOWHERE
    return sealed.context if isinstance(site, Site) and sealed.site == site.pk else NOWHERE


def _secrets() -> tuple[str, ...]:
    return (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)


@lru_cache(maxsize=16)
def _keys(purpose: Purpose, day: int, *secrets: str) -> list[AESGCM]:
    """Return the keys of a day, the one that seals first. To derive them costs little: anybody can make up a day."""
    info = purpose.value + _TIME.pack(day)
    return [AESGCM(HKDF(algorithm=SHA256(), length=32, salt=None, info=info).derive(one.encode())) for one in secrets]
