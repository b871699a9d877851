"""What our pages have and programs' calls need not: a policy for browsers, sessions, and a page where it fails."""

import logging
from collections.abc import Awaitable, Callable
from http import HTTPStatus

from django.conf import settings
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import render
from django.urls import reverse
from django.utils.deprecation import MiddlewareMixin

from drcaptcha.api.siteverify import DIALECTS
from drcaptcha.errors import DATABASE_BUSY, NotReady

log = logging.getLogger(__name__)

CALLS = ("/api/", *(f"/{path}" for path in DIALECTS))
"""How the paths begin that programs call, who have no session."""


class OnPages(MiddlewareMixin):
    """Spares programs' calls what is for pages."""

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        """Answer a request."""
        return self.get_response(request) if request.path.startswith(CALLS) else super().__call__(request)


class Sessions(OnPages, SessionMiddleware):
    """Sessions, on pages."""


class Authentication(OnPages, AuthenticationMiddleware):
    """Who is signed in, on pages."""


class Messages(OnPages, MessageMiddleware):
    """Messages, on pages."""


class Unready(MiddlewareMixin):
    """Says so on a page where something is missing, as Redis while somebody signs in, or room for the database."""

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """Answer with a page instead of an error of the server."""
        if isinstance(error, OperationalError):
            log.error("%s was not possible: %s", request.path, str(error).strip())
            error = NotReady(DATABASE_BUSY)
        if not isinstance(error, NotReady):
            return None
        return render(request, "503.html", {"message": error.message}, status=HTTPStatus.SERVICE_UNAVAILABLE)


POLICY = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' data:",
        "media-src 'self' data:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
"""Everything comes from this server, nothing is inline; a captcha's picture or sound travels in its address."""


def content_security_policy(
    get_response: Callable[[HttpRequest], HttpResponse],
) -> Callable[[HttpRequest], HttpResponse]:
    """Put the policy on every response but the administration's, whose theme writes scripts into its pages."""
    administration = reverse("admin:index")

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        # Django's own pages for developers are one file with everything inline.
        for_developers = settings.DEBUG and response.status_code in {404, 500}
        if not request.path.startswith(administration) and not for_developers:
            response.headers.setdefault("Content-Security-Policy", POLICY)
        return response

    return middleware
