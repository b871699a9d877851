"""The plain page: challenges for visitors whose browsers run no scripts, by itself or in a frame of a site's page.

It sets and reads no cookie: in a frame on another host there is none. It needs none either, since nothing is done here
in the name of somebody who is known. What protects a form is the sealed challenge, which is answered once.
"""

import re
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import SplitResult, urlsplit

import numpy as np
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.clickjacking import xframe_options_exempt
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods
from ninja import Field
from pydantic import ValidationError

from drcaptcha.api.clients import address_of, host_of
from drcaptcha.api.schemas import ChallengeRequest
from drcaptcha.challenges import issuing, verifying
from drcaptcha.challenges.tokens import Context, context_of
from drcaptcha.errors import (
    BadRequest,
    ChallengeError,
    ChallengeExpired,
    DrCaptchaError,
    HostNotAllowed,
    SiteClosed,
    TooManyRequests,
    UnknownSite,
)
from drcaptcha.pages import wording
from drcaptcha.sites import dummies, hosts
from drcaptcha.sites.dummies import Dummy
from drcaptcha.sites.models import Site

_PLACE = re.compile(r"[A-Za-z0-9._-]+(:[0-9]{1,5})?")
"""A host and perhaps a port: nothing that a browser could read differently from us."""


class Asked(ChallengeRequest):
    """What the page's address asks for: a challenge, and where its response shall be taken."""

    back: str = Field("", alias="return", max_length=2000)
    field: str = Field("drcaptcha-response", max_length=64, pattern=r"^[\w-]+$")


@dataclass(frozen=True)
class Shown:
    """What the page shows: the response of a pass, or a challenge, and what there is to say before.

    ``english`` is whether the message is in English whatever the page's language is.
    """

    challenge: issuing.Challenge | None = None
    response: str | None = None
    message: str = ""
    english: bool = False
    status: HTTPStatus = HTTPStatus.OK
    retry_after: int = 0


@never_cache
@csrf_exempt
@xframe_options_exempt
@require_http_methods(["GET", "HEAD", "POST"])
def plain(request: HttpRequest, sitekey: str) -> HttpResponse:
    """Show a challenge; judge what comes back, and show the response that a pass earns, or a way to take it back."""
    try:
        site = Dummy.by_sitekey(sitekey) or Site.of(sitekey)
    except UnknownSite as error:
        raise Http404 from error
    language = wording.chosen(request.GET.get("language", ""), request.headers.get("Accept-Language", ""))
    texts = wording.texts(language)
    asked, back = None, None
    try:
        asked = _asked(request)
        back = _place(asked.back, site)
        shown = _shown(request, site, asked, back, texts)
    except DrCaptchaError as error:
        shown = _refused(error, texts)
    count = str(shown.challenge.length) if shown.challenge else ""
    context = {
        "shown": shown,
        "texts": texts,
        "question": texts["hear" if asked and asked.kind == "audio" else "type"].replace("{n}", count),
        "alternative": texts["picture"].replace("{n}", count),
        "back": back,
        "way_back": texts["back"].replace("{host}", back.netloc if back else ""),
        "field": asked.field if asked else "",
        "audio_offered": issuing.audio_offered(),
        "test": isinstance(site, Dummy),
    }
    response = render(request, "pages/plain.html", context, status=shown.status)
    response["Content-Security-Policy"] = policy(site, back)
    if shown.retry_after:
        response["Retry-After"] = str(shown.retry_after)
    return response


def policy(site: Site | Dummy, back: SplitResult | None) -> str:
    """Return what the page may load, where its form may go, and on whose pages it may stand in a frame.

    On a page over TLS a host without a scheme stands for pages over TLS alone.
    """
    return "; ".join(
        (
            "default-src 'none'",
            "style-src 'self'",
            "font-src 'self'",
            "img-src 'self' data:",
            "media-src data:",
            f"form-action 'self'{f' {back.scheme}://{back.netloc}' if back else ''}",
            "base-uri 'none'",
            f"frame-ancestors {' '.join(_framers(site))}",
        )
    )


def _framers(site: Site | Dummy) -> list[str]:
    """Return the sources of pages that may frame ours. An IPv6 address can't be written as one."""
    if isinstance(site, Dummy):
        return ["*"]
    named = [host for host in site.hosts if ":" not in host]
    below = [f"*{host}:*" for host in named if host.startswith(".")]
    return [*(f"{host.removeprefix('.')}:*" for host in named), *below] or ["'none'"]


def _asked(request: HttpRequest) -> Asked:
    """Return what is asked for: in the page's address, which its form keeps, but for the kind, which it sends.

    Raises:
        BadRequest: some of it is not of the form that it should have.
    """
    sent = {name: request.POST[name] for name in ("kind", "next") if request.POST.get(name)}
    kind = sent.get("next") or sent.get("kind") or request.GET.get("kind", "picture")
    try:
        return Asked.model_validate(request.GET.dict() | {"kind": kind})
    except ValidationError as error:
        named = ", ".join(str(fault["loc"][0]) for fault in error.errors())
        raise BadRequest(f"This address is not of the form that it should have: {named}.") from error


def _place(address: str, site: Site | Dummy) -> SplitResult | None:
    """Return the address to which the visitor may take a response, or None where there is none.

    Raises:
        BadRequest: it is no address of a web page, or on a host that the site has not listed.
    """
    if not address:
        return None
    listed = [dummies.HOST, "127.0.0.1"] if isinstance(site, Dummy) else site.hosts
    try:
        parts = urlsplit(address)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme in {"http", "https"} and _PLACE.fullmatch(parts.netloc):
        host = hosts.host_of(address)
        if any(hosts.matches(host, one) for one in listed):
            return parts
    raise BadRequest("The address to return to has to be on a host that this site lists.")


def _shown(
    request: HttpRequest, site: Site | Dummy, asked: Asked, back: SplitResult | None, texts: dict[str, str]
) -> Shown:
    """Return what came of an answer, and after anything but a pass another challenge.

    Raises:
        SiteClosed: the site is closed.
        HostNotAllowed: another host's page sends the form, or links here.
        AudioUnavailable, TooManyRequests, QuotaReached, NotReady: as ``issuing``.
    """
    said, page = Shown(), host_of(request)
    ours = hosts.host_of(f"//{request.get_host()}")
    if request.method == "POST":
        if page not in {"", ours}:
            raise HostNotAllowed
        challenge = request.POST.get("challenge", "")
        page = context_of(challenge, site, timezone.now()).host
        if "next" not in request.POST:
            said = _judged(challenge, request.POST.get("answer", "")[:100], address_of(request), texts)
    elif isinstance(site, Site) and page:
        page = "" if page == ours and not site.allows(page) else page
        site.admit(page)
    if said.response:
        return said
    context = Context(hosts.host_of(back.geturl()) if back else page, asked.action, asked.cdata)
    issued = _issued(request, site, asked, context, texts["language"])
    return Shown(issued, None, said.message, said.english)


def _issued(
    request: HttpRequest, site: Site | Dummy, asked: Asked, context: Context, language: str
) -> issuing.Challenge:
    address, now = address_of(request), timezone.now()
    if asked.kind == "picture":
        return issuing.issue(site, address=address, now=now, context=context, idle=True)
    return issuing.issue_audio(
        site,
        language=asked.language or language,
        address=address,
        now=now,
        rng=np.random.default_rng(),
        context=context,
        idle=True,
    )


def _judged(challenge: str, answer: str, address: str, texts: dict[str, str]) -> Shown:
    try:
        verdict = verifying.verify(challenge, answer, address=address, now=timezone.now())
    except ChallengeExpired:
        return Shown(message=texts["renewed"])
    except ChallengeError as error:
        return Shown(message=error.message, english=True)
    return Shown(response=verdict.response, message=texts["solved" if verdict.passed else "wrong"])


def _refused(error: DrCaptchaError, texts: dict[str, str]) -> Shown:
    if isinstance(error, TooManyRequests):
        text = texts["busy"].replace("{s}", str(error.retry_after))
        return Shown(message=text, status=error.status, retry_after=error.retry_after)
    if isinstance(error, SiteClosed):
        return Shown(message=texts["closed"], status=error.status)
    return Shown(message=error.message, english=True, status=error.status, retry_after=error.retry_after)
