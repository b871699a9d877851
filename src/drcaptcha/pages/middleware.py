"""What a browser may load and do on our pages."""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.urls import reverse

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
