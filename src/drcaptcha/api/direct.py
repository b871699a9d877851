"""The two calls that every visitor makes, answered without the framework's ways, which take longer than the calls.

What is unusual in one of them, as a body that is wrong, is left to the framework, which knows what to say.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import cache
from threading import Lock
from typing import Any

from django.core.exceptions import DisallowedHost
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.urls import ResolverMatch, resolve
from ninja import Schema
from pydantic import ValidationError

from drcaptcha.api import schemas, views
from drcaptcha.errors import DrCaptchaError

CALLS: dict[str, tuple[type[Schema], Callable[[HttpRequest, Any], HttpResponse]]] = {
    "/api/v1/challenges": (schemas.ChallengeRequest, views.issue_challenge),
    "/api/v1/answers": (schemas.AnswerRequest, views.judge_answer),
}


def direct(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Answer these calls; have all others answered."""

    def middleware(request: HttpRequest) -> HttpResponse:
        call = CALLS.get(request.path)
        if call is None or request.method != "POST" or request.content_type != "application/json":
            return get_response(request)
        schema, view = call
        try:
            request.get_host()
            body = schema.model_validate_json(request.body)
        except (DisallowedHost, ValidationError):
            return get_response(request)
        request.resolver_match = _match(request.path)
        try:
            with _turn():
                response = view(request, body)
        except DrCaptchaError as error:
            response = views.on_error(request, error)
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    return middleware


_match: Callable[[str], ResolverMatch] = cache(resolve)

_LOCK = Lock()


def _turn() -> AbstractContextManager[object]:
    """Let one of these calls go on at a time, where the database is in this process.

    Its threads would only get in each other's way: that takes half as long again. With a server they wait for it.
    """
    return _LOCK if connection.vendor == "sqlite" else nullcontext()
