"""Settings of this app that make no sense, found before anything runs."""

from django.core.checks import CheckMessage, Error

from drcaptcha.errors import NotPossible
from drcaptcha.learning.retraining import Policy


def retraining_policy(**_: object) -> list[CheckMessage]:
    """Check when and what to train without being asked."""
    try:
        Policy.current()
    except NotPossible as fault:
        return [Error(fault.message, id="learning.E001")]
    return []
