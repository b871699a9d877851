"""Sealed tokens: what a visitor carries and can neither read nor make.

Fernet (https://github.com/fernet/spec) seals them: AES-CBC and HMAC-SHA256 over a random vector. The content is of one
length, so the length of a token tells nothing.
"""

import base64
import struct
from datetime import datetime, timedelta
from enum import Enum
from functools import cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

from drcaptcha.errors import ChallengeError, ChallengeExpired

_CONTENT = struct.Struct(">QQ")


class Purpose(Enum):
    """What a token is for; each purpose has a key of its own, so that none passes for another."""

    CHALLENGE = b"drcaptcha challenge"
    RESPONSE = b"drcaptcha response"


def seal(purpose: Purpose, row: int, site: int, now: datetime) -> str:
    """Return a token that names a row (a captcha or an attempt) and a site."""
    content = _CONTENT.pack(row, site)
    return _keys(purpose, *_secrets()).encrypt_at_time(content, int(now.timestamp())).decode()


def unseal(purpose: Purpose, token: str, lifetime: timedelta, now: datetime) -> tuple[int, int]:
    """Return the row and the site that a token names.

    Raises:
        ChallengeError: the token was not made here, or for another purpose.
        ChallengeExpired: it is older than ``lifetime``.
    """
    keys = _keys(purpose, *_secrets())
    try:
        # In base64 the last character has bits to spare, so several spellings would pass for one token.
        if base64.urlsafe_b64encode(base64.urlsafe_b64decode(token)).decode() != token:
            raise ChallengeError
        content = keys.decrypt(token)
        age = now.timestamp() - keys.extract_timestamp(token)
    except (InvalidToken, ValueError) as error:
        raise ChallengeError from error
    if age > lifetime.total_seconds():
        raise ChallengeExpired
    row, site = _CONTENT.unpack(content)
    return row, site


def _secrets() -> tuple[str, ...]:
    return (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)


@cache
def _keys(purpose: Purpose, *secrets: str) -> MultiFernet:
    return MultiFernet([Fernet(base64.urlsafe_b64encode(_derive(secret, purpose))) for secret in secrets])


def _derive(secret: str, purpose: Purpose) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose.value).derive(secret.encode())
