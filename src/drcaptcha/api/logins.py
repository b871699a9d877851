"""Signing in: nobody may try passwords one after another."""

from typing import Any

from django.contrib.auth.backends import ModelBackend
from django.contrib.auth.models import User
from django.http import HttpRequest
from django.utils import timezone

from drcaptcha.api.clients import address_of
from drcaptcha.challenges import limiting
from drcaptcha.errors import TooManyRequests


class LimitedBackend(ModelBackend):
    """Looks at no password of an address from which too many came lately; the page then says what it always says."""

    def authenticate(
        self, request: HttpRequest | None, username: str | None = None, password: str | None = None, **kwargs: Any
    ) -> User | None:
        """Return the user whose name and password these are."""
        try:
            if request is not None:
                limiting.check_login(address_of(request), timezone.now())
        except TooManyRequests:
            return None
        return super().authenticate(request, username, password, **kwargs)
