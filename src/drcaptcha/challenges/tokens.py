"""Sealed tokens: what a visitor carries and can neither read nor make.

Fernet (https://github.com/fernet/spec) seals them: AES-CBC and HMAC-SHA256 over a random vector. Numbers are of one
length, and what else there is was said by the page itself, so the length of a token tells nothing.
"""

import base64
import json
import struct
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import cache
from typing import NamedTuple

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings

from drcaptcha.errors import ChallengeError, ChallengeExpired
from drcaptcha.sites.dummies import Dummy
from drcaptcha.sites.models import Site

_NUMBERS = struct.Struct(">QQ")


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
    return _keys(purpose, *_secrets()).encrypt_at_time(content, int(now.timestamp())).decode()


def seal_dummy(dummy: Dummy, now: datetime) -> str:
    """Return the token of a challenge for a test key: it names no row and no site."""
    return seal(Purpose.CHALLENGE, 0, 0, now, Context(cdata=dummy.name))


def unseal(purpose: Purpose, token: str, lifetime: timedelta, now: datetime) -> Sealed:
    """Return what a token names.

    Raises:
        ChallengeError: the token was not made here, or for another purpose.
        ChallengeExpired: it is older than ``lifetime``.
    """
    keys = _keys(purpose, *_secrets())
    try:
        # In base64 the last character has bits to spare, so several spellings would pass for one token.
        plain = base64.urlsafe_b64decode(token)
        if base64.urlsafe_b64encode(plain).decode() != token:
            raise ChallengeError
        content = keys.decrypt(token)
        at = datetime.fromtimestamp(int.from_bytes(plain[1:9], "big"), UTC)  # Signed, as all of it.
    except (InvalidToken, ValueError) as error:
        raise ChallengeError from error
    if now - at > lifetime:
        raise ChallengeExpired
    row, site = _NUMBERS.unpack_from(content)
    said = content[_NUMBERS.size :]
    return Sealed(row, site, at, Context(*json.loads(said)) if said else NOWHERE)


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


@cache
def _keys(purpose: Purpose, *secrets: str) -> MultiFernet:
    return MultiFernet([Fernet(base64.urlsafe_b64encode(_derive(secret, purpose))) for secret in secrets])


def _derive(secret: str, purpose: Purpose) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose.value).derive(secret.encode())
