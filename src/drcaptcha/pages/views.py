"""The pages: each gathers what its template shows."""

from functools import partial

import numpy as np
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.templatetags.static import static
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from drcaptcha.api.clients import address_of
from drcaptcha.api.views import api
from drcaptcha.challenges import issuing, verifying
from drcaptcha.errors import AudioUnavailable, ChallengeError, NotReady, QuotaReached, TooManyRequests
from drcaptcha.pages import reference
from drcaptcha.pages.figures import Figures
from drcaptcha.sites.models import Site


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """Say what this is, with a captcha to try and the figures of this installation."""
    return render(request, "pages/home.html", {"figures": Figures.current()})


@require_safe
def methodology(request: HttpRequest) -> HttpResponse:
    """Explain controls, probes and the loop."""
    accept = f"{100 * settings.DRCAPTCHA_ACCEPT:.4g}"
    context = {
        "agreement": settings.DRCAPTCHA_AGREEMENT,
        "accept": accept,
        "audio_offered": issuing.audio_offered(),
    }
    return render(request, "pages/methodology.html", context)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def test_captcha(request: HttpRequest) -> HttpResponse:
    """Show a captcha and judge what comes back; a browser without scripts needs no more than this."""
    outcome, message = _judge(request) if request.method == "POST" else ("", "")
    context = {"outcome": outcome, "message": message, "audio_offered": issuing.audio_offered()}
    kind = (request.POST if request.method == "POST" else request.GET).get("kind")
    issue = partial(issuing.issue_audio, language="en") if kind == "audio" else issuing.issue
    try:
        challenge = issue(Site.of(None), address=address_of(request), now=timezone.now(), rng=np.random.default_rng())
    except (AudioUnavailable, NotReady, QuotaReached, TooManyRequests) as error:
        return render(request, "pages/test_captcha.html", context | {"message": error.message}, status=error.status)
    return render(request, "pages/test_captcha.html", context | {"challenge": challenge})


def _judge(request: HttpRequest) -> tuple[str, str]:
    """Return how the posted answer did, ``passed``, ``failed`` or ``message``, and the message."""
    try:
        verdict = verifying.verify(
            request.POST.get("challenge", ""),
            request.POST.get("answer", ""),
            address=address_of(request),
            now=timezone.now(),
        )
    except (ChallengeError, TooManyRequests) as error:
        return "message", error.message
    return "passed" if verdict.passed else "failed", ""


@require_safe
def canvas(request: HttpRequest) -> HttpResponse:
    """Let visitors write a character for the best ensemble to name."""
    return render(request, "pages/canvas.html")


@require_safe
def api_docs(request: HttpRequest) -> HttpResponse:
    """Describe the API from its own OpenAPI document."""
    origin = request.build_absolute_uri("/").rstrip("/")
    context = {
        "groups": reference.groups(api.get_openapi_schema(), origin),
        "errors": reference.error_codes(),
        "origin": origin,
    }
    return render(request, "pages/api_docs.html", context)


@require_safe
def favicon(request: HttpRequest) -> HttpResponse:
    """Send browsers that ask at the old place to the icon."""
    return redirect(static("pages/favicon.svg"))
