"""The API: each call is one flow."""

import json
import logging
from collections.abc import Mapping
from http import HTTPStatus

import numpy as np
from django.db import OperationalError
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from ninja import Query, Router, Status
from ninja.errors import HttpError, ValidationError
from ninja.parser import Parser
from ninja.types import DictStrAny

from drcaptcha.api import schemas
from drcaptcha.api.clients import address_of, host_of
from drcaptcha.api.document import DocumentedAPI
from drcaptcha.api.pictures import glyph_of
from drcaptcha.challenges import issuing, limiting, verifying
from drcaptcha.challenges.tokens import Context
from drcaptcha.errors import (
    DATABASE_BUSY,
    ChallengeError,
    DrCaptchaError,
    HostNotAllowed,
    NotReady,
    QuotaReached,
    TooManyRequests,
)
from drcaptcha.learning import predicting
from drcaptcha.sites.dummies import Dummy
from drcaptcha.sites.models import Site

log = logging.getLogger(__name__)


class JsonParser(Parser):
    """Reads JSON that is called so. A page of another site can send text from its visitors' browsers, but not JSON."""

    def parse_body(self, request: HttpRequest) -> DictStrAny:
        if request.content_type != "application/json":
            raise ValueError("not JSON")
        return super().parse_body(request)


api = DocumentedAPI(
    parser=JsonParser(),
    title="DrCaptcha",
    version="1",
    description="Challenges of handwritten characters, their answers and redemption, and predictions.",
    docs_url=None,
)
v1 = Router(tags=["v1"])
old = Router(tags=["original"])

PICTURE_BODY = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {"schema": schemas.PredictionRequest.model_json_schema()},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "image": {"type": "string", "format": "binary"},
                        "top": schemas.PredictionRequest.model_json_schema()["properties"]["top"],
                    },
                    "required": ["image"],
                },
            },
        },
    },
}


@v1.post(
    "/challenges",
    response={
        200: schemas.ChallengeIssued,
        400: schemas.Error,
        403: schemas.Error,
        404: schemas.Error,
        411: schemas.Error,
        413: schemas.Error,
        423: schemas.Error,
        429: schemas.Error,
        501: schemas.Error,
        503: schemas.Error,
    },
)
def issue_challenge(request: HttpRequest, body: schemas.ChallengeRequest | None = None) -> HttpResponse:
    """Issue a challenge: a picture of handwritten characters to type."""
    wanted = body or schemas.ChallengeRequest(sitekey=None, action="", language="", cdata="")
    site = Dummy.by_sitekey(wanted.sitekey) or Site.of(wanted.sitekey)
    context = Context(host_of(request), wanted.action, wanted.cdata)
    address, now = address_of(request), timezone.now()
    if wanted.kind == "audio":
        rng = np.random.default_rng()
        challenge = issuing.issue_audio(
            site, language=wanted.language, address=address, now=now, rng=rng, context=context
        )
    else:
        challenge = issuing.issue(site, address=address, now=now, context=context)
    answer = {
        "challenge": challenge.token,
        "audio" if wanted.kind == "audio" else "image": challenge.data_url,
        "audio_offered": issuing.audio_offered(),
        "length": challenge.length,
        "expires_in": challenge.expires_in,
        "work": challenge.work,
        "test": isinstance(site, Dummy),
    }
    return _said(answer)


@v1.post(
    "/answers",
    response={
        200: schemas.AnswerJudged,
        400: schemas.Error,
        403: schemas.Error,
        409: schemas.Error,
        410: schemas.Error,
        411: schemas.Error,
        413: schemas.Error,
        423: schemas.Error,
        429: schemas.Error,
        503: schemas.Error,
    },
)
def judge_answer(request: HttpRequest, body: schemas.AnswerRequest) -> HttpResponse:
    """Judge the one answer that a challenge gets."""
    verdict = verifying.verify(
        body.challenge,
        body.answer,
        address=address_of(request),
        host=host_of(request),
        work=body.work,
        now=timezone.now(),
    )
    return _said({"passed": verdict.passed, "response": verdict.response})


def _said(answer: Mapping[str, object]) -> HttpResponse:
    """Answer as it is: what we say needs no validation."""
    return HttpResponse(json.dumps(answer), content_type="application/json; charset=utf-8")


@v1.post(
    "/predictions",
    response={
        200: schemas.Prediction,
        400: schemas.Error,
        413: schemas.Error,
        429: schemas.Error,
        503: schemas.Error,
    },
    openapi_extra=PICTURE_BODY,
)
def predict(request: HttpRequest) -> dict[str, object]:
    """Name the character in a picture: any drawing or scan, dark on light or light on dark."""
    limiting.check_prediction(address_of(request), timezone.now())
    glyph, top = glyph_of(request)
    recogniser = predicting.serving()
    guesses = recogniser.guess(glyph[np.newaxis], top)[0]
    return {
        "guesses": [{"character": name, "probability": share} for name, share in guesses],
        "ensemble": recogniser.name,
    }


@old.get("/get-captcha", response={200: schemas.OldCaptcha, 429: schemas.OldMessage, 503: schemas.OldMessage})
def get_captcha(request: HttpRequest, response: HttpResponse) -> Status[dict[str, object]] | dict[str, object]:
    """Issue a challenge, as the original did."""
    response["Cache-Control"] = "no-store"
    try:
        challenge = issuing.issue(Site.of(None), address=address_of(request), now=timezone.now())
    except (NotReady, QuotaReached, TooManyRequests) as error:
        return _old_refusal(error, response)
    return {"captcha": challenge.token, "image": challenge.data_url}


@old.get(
    "/test-captcha",
    response={
        200: schemas.OldVerdict,
        400: schemas.OldMessage,
        403: schemas.OldMessage,
        409: schemas.OldMessage,
        410: schemas.OldMessage,
        429: schemas.OldMessage,
        503: schemas.OldMessage,
    },
)
def test_captcha(
    request: HttpRequest,
    response: HttpResponse,
    query: Query[schemas.OldAnswer],
) -> Status[dict[str, object]] | dict[str, object]:
    """Judge an answer, as the original did; but only one for each captcha."""
    response["Cache-Control"] = "no-store"
    if not query.captcha or not query.value:
        return Status(HTTPStatus.BAD_REQUEST, {"message": "Send both captcha and value."})
    try:
        verdict = verifying.verify(
            query.captcha, query.value, address=address_of(request), host=host_of(request), now=timezone.now()
        )
    except (ChallengeError, HostNotAllowed, NotReady, TooManyRequests) as error:
        return _old_refusal(error, response)
    return {"test": verdict.passed}


def _old_refusal(error: DrCaptchaError, response: HttpResponse) -> Status[dict[str, object]]:
    """Answer with what went wrong, as the original did."""
    _say_when(error, response)
    return Status(error.status, {"message": error.message})


@api.exception_handler(DrCaptchaError)
def on_error(request: HttpRequest, error: DrCaptchaError) -> HttpResponse:
    """Answer with the error's own code and status."""
    response = _error(request, error.status, error.code, error.message)
    _say_when(error, response)
    return response


@api.exception_handler(OperationalError)
def on_database_error(request: HttpRequest, error: OperationalError) -> HttpResponse:
    """Say that it may go better later, as where the disk is full."""
    log.error("%s was not possible: %s", request.path, str(error).strip())
    return on_error(request, NotReady(DATABASE_BUSY))


def _say_when(error: DrCaptchaError, response: HttpResponse) -> None:
    """Say after how many seconds a call may be made again, where that is known."""
    if error.retry_after:
        response["Retry-After"] = str(error.retry_after)


@api.exception_handler(ValidationError)
def on_invalid(request: HttpRequest, error: ValidationError) -> HttpResponse:
    """Say which field is wrong, without repeating what was sent."""
    faults = "; ".join(f"{'.'.join(map(str, fault['loc'][1:]))}: {fault['msg']}" for fault in error.errors)
    return _error(request, HTTPStatus.BAD_REQUEST, "bad-request", faults)


@api.exception_handler(HttpError)
def on_http_error(request: HttpRequest, error: HttpError) -> HttpResponse:
    """Answer what the framework refuses, such as a body that is not JSON."""
    message = "Send JSON, with Content-Type: application/json." if error.status_code == 400 else str(error)
    return _error(request, HTTPStatus(error.status_code), "bad-request", message)


def _error(request: HttpRequest, status: HTTPStatus, code: str, message: str) -> HttpResponse:
    return api.create_response(request, {"error": {"code": code, "message": message}}, status=status)


api.add_router("/v1", v1)
api.add_router("", old)
