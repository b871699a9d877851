"""The call by which a site's server redeems a response, in the three forms in which such servers are used to make it.

What is taken and given is what reCAPTCHA, hCaptcha and Turnstile have published, so that a server needs another address
and nothing else. Every answer to a POST that could be read has the status 200, and says in its body what came of it;
while the database takes nothing it is 503, and the call can be made again.
"""

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any
from uuid import UUID

from django.core.exceptions import BadRequest as UnreadableForm
from django.core.exceptions import SuspiciousOperation
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse, JsonResponse, UnreadablePostError
from django.http.multipartparser import MultiPartParserError
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.debug import sensitive_post_parameters

from drcaptcha.challenges.redeeming import Outcome, Redemption, redeem

MOST_BYTES = 32 * 2**10
"""Size of the largest body that is read; a response has two kilobytes at the most."""

FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")
JSON = "application/json"
BAD_REQUEST = "bad-request"

Fields = Mapping[str, str]
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Dialect:
    """One service's form of the call: the codes of its refusals, what it tells of a pass, and whether it takes JSON."""

    name: str
    codes: Mapping[Outcome, str]
    tell: Callable[[Redemption], dict[str, Any]]
    takes_json: bool = False
    pins_sitekey: bool = False
    retries: bool = False

    @property
    def url_name(self) -> str:
        """The name by which its address is found."""
        return self.name.lower()

    def redeem(self, fields: Fields) -> dict[str, Any]:
        """Return the body of the answer to a call with these fields."""
        missing = [f"missing-input-{name}" for name in ("secret", "response") if not fields.get(name)]
        if missing:
            return refusal(*missing)
        try:
            key = UUID(fields["idempotency_key"]) if self.retries and fields.get("idempotency_key") else None
        except ValueError:
            return refusal(BAD_REQUEST)
        sitekey = fields.get("sitekey") or None if self.pins_sitekey else None
        redemption = redeem(fields["secret"], fields["response"], sitekey=sitekey, key=key, now=timezone.now())
        if redemption.outcome is Outcome.PASSED:
            return {"success": True, **self.tell(redemption)}
        return refusal(self.codes[redemption.outcome])


def refusal(*codes: str) -> dict[str, Any]:
    """Return the body of an answer that says no."""
    return {"success": False, "error-codes": list(codes)}


def _recaptcha(redemption: Redemption) -> dict[str, Any]:
    context = redemption.context
    action = {"action": context.action} if context.action else {}
    return {"challenge_ts": _written(redemption.issued), "hostname": context.host, **action}


def _hcaptcha(redemption: Redemption) -> dict[str, Any]:
    return {"challenge_ts": _written(redemption.issued), "hostname": redemption.context.host, "credit": True}


def _turnstile(redemption: Redemption) -> dict[str, Any]:
    context = redemption.context
    return {
        "challenge_ts": _written(redemption.solved, "milliseconds"),
        "hostname": context.host,
        "error-codes": [],
        "action": context.action,
        "cdata": context.cdata,
    }


def _written(moment: datetime | None, precision: str = "seconds") -> str:
    return moment.astimezone(UTC).isoformat(timespec=precision).replace("+00:00", "Z") if moment else ""


RECAPTCHA_CODES = {
    Outcome.UNKNOWN_SECRET: "invalid-input-secret",
    Outcome.OTHER_SITE: "invalid-input-response",
    Outcome.INVALID: "invalid-input-response",
    Outcome.EXPIRED: "timeout-or-duplicate",
    Outcome.USED: "timeout-or-duplicate",
}
HCAPTCHA_CODES = RECAPTCHA_CODES | {
    Outcome.OTHER_SITE: "sitekey-secret-mismatch",
    Outcome.EXPIRED: "expired-input-response",
    Outcome.USED: "already-seen-response",
}

DIALECTS = {
    "recaptcha/api/siteverify": Dialect("reCAPTCHA", RECAPTCHA_CODES, _recaptcha),
    "hcaptcha/siteverify": Dialect("hCaptcha", HCAPTCHA_CODES, _hcaptcha, pins_sitekey=True),
    "turnstile/v0/siteverify": Dialect("Turnstile", RECAPTCHA_CODES, _turnstile, takes_json=True, retries=True),
}
"""The dialects by the path at which each is spoken."""


@csrf_exempt
@sensitive_post_parameters("secret", "response")
def siteverify(request: HttpRequest, dialect: Dialect) -> HttpResponse:
    """Redeem a response. The secret is what the caller proves itself with; no cookie is looked at."""
    if request.method != "POST":
        return _answer(refusal(BAD_REQUEST), HTTPStatus.METHOD_NOT_ALLOWED, {"Allow": "POST"})
    length = request.META.get("CONTENT_LENGTH")
    if request.META.get("HTTP_TRANSFER_ENCODING") and not length:
        return _answer(refusal(BAD_REQUEST), HTTPStatus.LENGTH_REQUIRED)
    if int(length or 0) > MOST_BYTES:
        return _answer(refusal(BAD_REQUEST), HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    fields = _read(request, takes_json=dialect.takes_json)
    if fields is None:
        return _answer(refusal(BAD_REQUEST))
    try:
        return _answer(dialect.redeem(fields))
    except OperationalError:
        log.exception("A response could not be redeemed.")
        return _answer(refusal("internal-error"), HTTPStatus.SERVICE_UNAVAILABLE)


def _read(request: HttpRequest, *, takes_json: bool) -> Fields | None:
    """Return the fields of a form, or of JSON where that is taken; None of anything else."""
    try:
        if request.content_type in ("", *FORMS):
            return {name: str(value).strip() for name, value in request.POST.items()}
        if not takes_json or request.content_type != JSON:
            return None
        body = json.loads(request.body)
    except (SuspiciousOperation, UnreadableForm, MultiPartParserError, UnreadablePostError, ValueError, RecursionError):
        return None
    if not isinstance(body, dict) or not all(isinstance(value, str | None) for value in body.values()):
        return None
    return {name: (value or "").strip() for name, value in body.items()}


def _answer(
    body: dict[str, Any], status: HTTPStatus = HTTPStatus.OK, headers: Mapping[str, str] | None = None
) -> HttpResponse:
    return JsonResponse(body, status=status, headers={"Cache-Control": "no-store", **(headers or {})})
