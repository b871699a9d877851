"""What a browser may load and do on our pages."""

from collections.abc import Callable, Collection

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import reverse


def policy(*, frames: Collection[str] = ()) -> str:
    """Return what a page of ours allows: everything comes from this server, nothing is inline.

    A captcha travels in its own address, as picture or sound. ``frames`` are hosts on whose pages it may be framed, as
    sites list them.
    """
    places = [f"*{host} {host[1:]}" if host.startswith(".") else host for host in frames]
    return "; ".join(
        (
            "default-src 'self'",
            "img-src 'self' data:",
            "media-src 'self' data:",
            "object-src 'none'",
            "base-uri 'none'",
            "form-action 'self'",
            " ".join(("frame-ancestors", *(places or ["'none'"]))),
        )
    )


POLICY = policy()


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
