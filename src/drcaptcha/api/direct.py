"""The calls that come with every visitor, answered without the framework's ways, which take longer than the calls.

What is unusual in one of them, as a body that is wrong, is left to the framework, which knows what to say.
"""

import io
import math
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import nullcontext
from functools import cache, partial
from http import HTTPStatus
from typing import Any, cast
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from django.core.exceptions import DisallowedHost
from django.core.handlers.exception import convert_exception_to_response
from django.core.handlers.wsgi import WSGIRequest
from django.db import OperationalError, connection
from django.http import HttpRequest, HttpResponse, UnreadablePostError
from django.urls import ResolverMatch, resolve
from django.utils.log import log_response
from pydantic import BaseModel, ValidationError

from drcaptcha.api import schemas, views
from drcaptcha.api.middleware import cross_origin, json_errors
from drcaptcha.api.siteverify import DIALECTS, Dialect, siteverify
from drcaptcha.errors import DrCaptchaError
from drcaptcha.observing import observed
from drcaptcha.turns import alone

Handle = Callable[[HttpRequest], HttpResponse]
Answer = Callable[[], HttpResponse]
"""Answers one call."""
Call = Callable[[HttpRequest], Answer | None]
"""Finds what answers a call, or leaves it to the framework."""

MOST_BYTES = 2**16
"""Size of the largest body that is read here; no call of a widget comes near it."""


def direct(get_response: Handle) -> Handle:
    """Answer these calls; have all others answered."""

    def middleware(request: HttpRequest) -> HttpResponse:
        answer = _prepared(request)
        return answer() if answer else get_response(request)

    return middleware


def first(others: WSGIApplication) -> WSGIApplication:
    """Answer these calls before the framework's handler, whose signals and middleware would take most of their time."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] != "POST" or environ["PATH_INFO"] not in CALLS:
            return others(environ, start_response)
        _see_to_connection()
        request = _Request(environ)
        answer = _prepared(request)
        if answer is None:
            if hasattr(request, "_body"):  # It was read.
                environ["wsgi.input"] = io.BytesIO(request.body)
            return others(environ, start_response)
        request.answer = answer
        response = _around(request)
        request.close()
        if connection.errors_occurred:
            _Seen.failed = time.monotonic()
        if response.status_code >= HTTPStatus.BAD_REQUEST:
            log_response("%s: %s", response.reason_phrase, request.path, response=response, request=request)
        start_response(f"{response.status_code} {response.reason_phrase}", list(response.items()))
        return [response.content]

    return application


def _see_to_connection() -> None:
    """Have a connection that is too old or broken made anew, as the framework does before each request.

    Here it is done a second after the last time, since a database server has to be asked for it, and by all threads
    after an error in one.
    """
    now = time.monotonic()
    if connection.errors_occurred or _seen.at <= max(_seen.failed, now - 1):
        connection.close_if_unusable_or_obsolete()
        _seen.at = now


class _Seen(threading.local):
    """When this thread has seen to its connection, and when one of the process had an error on its own."""

    at = -math.inf
    failed = -math.inf


_seen = _Seen()


class _Request(WSGIRequest):
    answer: Answer


def _answer(request: HttpRequest) -> HttpResponse:
    return cast("_Request", request).answer()


_around = observed(cross_origin(json_errors(cast("Handle", convert_exception_to_response(_answer)))))


def _prepared(request: HttpRequest) -> Answer | None:
    """Return what answers a call, or None where it is left to the framework."""
    call = CALLS.get(request.path) if request.method == "POST" and _is_ours(request) else None
    answer = call(request) if call else None
    if answer is None:
        return None

    def answered() -> HttpResponse:
        response = answer()
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    request.resolver_match = _match(request.path)  # Also of one that fails.
    return answered


def _is_ours(request: HttpRequest) -> bool:
    try:
        request.get_host()
    except DisallowedHost:
        return False
    return True


def _visitors(schema: type[BaseModel], view: Callable[[HttpRequest, Any], HttpResponse]) -> Call:
    """Make the call of a visitor's browser, whose body follows a schema."""

    def answer(request: HttpRequest, body: BaseModel) -> HttpResponse:
        spoken = getattr(body, "kind", "") == "audio"  # It takes twenty times as long to make.
        try:
            with nullcontext() if spoken else alone():
                return view(request, body)
        except DrCaptchaError as error:
            return views.on_error(request, error)
        except OperationalError as error:
            return views.on_database_error(request, error)

    def call(request: HttpRequest) -> Answer | None:
        if request.content_type != "application/json" or not 0 < _length(request) <= MOST_BYTES:
            return None
        try:
            return partial(answer, request, schema.model_validate_json(request.body))
        except (ValidationError, UnreadablePostError):
            return None

    return call


def _length(request: HttpRequest) -> int:
    """Return how many bytes a body has by what the call says; 0 where that is no number."""
    said = str(request.META.get("CONTENT_LENGTH", ""))
    return int(said) if said.isdecimal() else 0


def _servers(dialect: Dialect) -> Call:
    """Make the call of a site's server."""
    return lambda request: partial(siteverify, request, dialect)


CALLS = {
    "/api/v1/challenges": _visitors(schemas.ChallengeRequest, views.issue_challenge),
    "/api/v1/answers": _visitors(schemas.AnswerRequest, views.judge_answer),
    **{f"/{path}": _servers(dialect) for path, dialect in DIALECTS.items()},
}

_match: Callable[[str], ResolverMatch] = cache(resolve)
