"""The calls that come with every visitor, answered without the framework's ways, which take longer than the calls.

What is unusual in one of them, as a body that is wrong, is left to the framework, which knows what to say.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import cache, partial
from threading import Lock
from typing import Any

from django.core.exceptions import DisallowedHost
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.urls import ResolverMatch, resolve
from ninja import Schema
from pydantic import ValidationError

from drcaptcha.api import schemas, views
from drcaptcha.api.siteverify import DIALECTS, siteverify
from drcaptcha.errors import DrCaptchaError

Call = Callable[[HttpRequest], HttpResponse | None]
"""Answers a call, or leaves it to the framework."""


def direct(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Answer these calls; have all others answered."""

    def middleware(request: HttpRequest) -> HttpResponse:
        call = CALLS.get(request.path)
        response = None
        if call and request.method == "POST" and _is_ours(request):
            request.resolver_match = _match(request.path)  # Also of one that fails.
            response = call(request)
        if response is None:
            return get_response(request)
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    return middleware


def _is_ours(request: HttpRequest) -> bool:
    try:
        request.get_host()
    except DisallowedHost:
        return False
    return True


def _visitors(schema: type[Schema], view: Callable[[HttpRequest, Any], HttpResponse]) -> Call:
    """Make the call of a visitor's browser, whose body follows a schema."""

    def call(request: HttpRequest) -> HttpResponse | None:
        if request.content_type != "application/json":
            return None
        try:
            body = schema.model_validate_json(request.body)
        except ValidationError:
            return None
        try:
            with _turn():
                return view(request, body)
        except DrCaptchaError as error:
            return views.on_error(request, error)

    return call


CALLS: dict[str, Call] = {
    "/api/v1/challenges": _visitors(schemas.ChallengeRequest, views.issue_challenge),
    "/api/v1/answers": _visitors(schemas.AnswerRequest, views.judge_answer),
    **{f"/{path}": partial(siteverify, dialect=dialect) for path, dialect in DIALECTS.items()},
}

_match: Callable[[str], ResolverMatch] = cache(resolve)

_LOCK = Lock()


def _turn() -> AbstractContextManager[object]:
    """Let one of these calls go on at a time, where the database is in this process.

    Its threads would only get in each other's way: that takes half as long again. With a server they wait for it.
    """
    return _LOCK if connection.vendor == "sqlite" else nullcontext()
