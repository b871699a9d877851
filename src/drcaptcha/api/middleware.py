"""Errors of the API are JSON, whatever part of the program made them; and pages of other hosts may call parts of it."""

from collections.abc import Callable
from http import HTTPStatus

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.cache import patch_vary_headers


def json_errors(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Turn a page that says what went wrong below /api/ into ``{"error": {"code", "message"}}``."""

    def middleware(request: HttpRequest) -> HttpResponse:
        if not request.path.startswith("/api/"):
            return get_response(request)
        response = _refusal(request) or get_response(request)
        is_json = response.get("Content-Type", "").startswith("application/json")
        if response.status_code < HTTPStatus.BAD_REQUEST or is_json:
            return response
        status = HTTPStatus(response.status_code)
        error = {"code": status.phrase.lower().replace(" ", "-"), "message": f"{status.phrase}. {status.description}"}
        replacement = JsonResponse({"error": error}, status=status)
        if "Allow" in response:
            replacement["Allow"] = response["Allow"]
        return replacement

    return middleware


OPEN = ("/api/v1/challenges", "/api/v1/answers")
"""The calls that the widget makes from the pages of other sites."""


def cross_origin(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Let pages of other hosts call what the widget calls, where the site lists the host; without cookies.

    Which site a call is for stands in its body, which a browser does not send beforehand. So whoever asks beforehand
    may send the call, and the answer is given to the page unless the site does not list its host.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        origin = request.META.get("HTTP_ORIGIN", "")
        if request.path not in OPEN or not origin:
            return get_response(request)
        if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
            response = HttpResponse(status=HTTPStatus.NO_CONTENT)
            response["Access-Control-Allow-Methods"] = "POST"
            response["Access-Control-Allow-Headers"] = "Content-Type"
            response["Access-Control-Max-Age"] = "7200"
        else:
            response = get_response(request)
            response["Access-Control-Expose-Headers"] = "Retry-After"
        if response.status_code != HTTPStatus.FORBIDDEN:
            response["Access-Control-Allow-Origin"] = origin
        patch_vary_headers(response, ["Origin"])
        return response

    return middleware


def _refusal(request: HttpRequest) -> HttpResponse | None:
    """Refuse a body of unknown length, which WSGI would read as none, and one larger than any call needs."""
    length = request.META.get("CONTENT_LENGTH")
    if request.META.get("HTTP_TRANSFER_ENCODING") and not length:
        return HttpResponse(status=HTTPStatus.LENGTH_REQUIRED)
    if int(length or 0) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
        return HttpResponse(status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    return None
