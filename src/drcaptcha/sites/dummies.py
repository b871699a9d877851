"""Keys for the tests of whoever protects a form: what comes of them is known beforehand.

The keys that reCAPTCHA, hCaptcha and Turnstile publish for this are known here too, so that tests written for those
keep running.
"""

from enum import Enum
from typing import Self

from django.conf import settings

RESPONSE = "test-response"
"""The response that a challenge for a test key earns."""

HOST = "localhost"
"""The host from which such a response is said to come."""


class Dummy(Enum):
    """What is always answered, with the site keys and secrets that stand for it, the first being our own."""

    PASSES = (
        (
            "test-passes",
            "1x00000000000000000000AA",
            "1x00000000000000000000BB",
            "3x00000000000000000000FF",
            "6LeIxAcTAAAAAJcZVRqyHh71UMIEGNQ_MXjiZKhI",
            "10000000-ffff-ffff-ffff-000000000001",
            "20000000-ffff-ffff-ffff-000000000002",
        ),
        (
            "test-secret-passes",
            "1x0000000000000000000000000000000AA",
            "6LeIxAcTAAAAAGG-vFI1TnRWxMZNFuojJ4WifJWe",
            "0x0000000000000000000000000000000000000000",
        ),
    )
    FAILS = (
        (
            "test-fails",
            "2x00000000000000000000AB",
            "2x00000000000000000000BB",
            "30000000-ffff-ffff-ffff-000000000003",
        ),
        ("test-secret-fails", "2x0000000000000000000000000000000AA"),
    )
    USED = (
        ("test-used",),
        ("test-secret-used", "3x0000000000000000000000000000000AA"),
    )

    def __init__(self, sitekeys: tuple[str, ...], secrets: tuple[str, ...]) -> None:
        self.sitekeys = sitekeys
        self.secrets = secrets

    @classmethod
    def by_sitekey(cls, sitekey: str | None) -> Self | None:
        """Return what a site key stands for, or None where it is no test key, or these are refused."""
        return next((one for one in cls.known() if sitekey in one.sitekeys), None)

    @classmethod
    def by_secret(cls, secret: str) -> Self | None:
        """Return what a secret stands for, or None where it is no test key, or these are refused."""
        return next((one for one in cls.known() if secret in one.secrets), None)

    @classmethod
    def known(cls) -> list[Self]:
        """Return all of them, or none where they are refused."""
        return list(cls) if settings.DRCAPTCHA_TEST_KEYS else []
