"""Settings of this app that are dangerous where they stand."""

from django.conf import settings
from django.core.checks import CheckMessage, Warning  # noqa: A004 -- Django's name for it.


def test_keys(**_: object) -> list[CheckMessage]:
    """Warn of keys with which anybody passes, where that is not a test."""
    if settings.PRODUCTION and settings.DRCAPTCHA_TEST_KEYS:
        message = "DRCAPTCHA_TEST_KEYS is on in production: whoever protects a form with a test key lets anybody pass."
        return [Warning(message, id="sites.W001")]
    return []
