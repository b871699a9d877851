"""Errors of the API are JSON, whatever part of the program made them."""

from collections.abc import Callable
from http import HTTPStatus

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse


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


def _refusal(request: HttpRequest) -> HttpResponse | None:
    """Refuse a body of unknown length, which WSGI would read as none, and one larger than any call needs."""
    length = request.META.get("CONTENT_LENGTH")
    if request.META.get("HTTP_TRANSFER_ENCODING") and not length:
        return HttpResponse(status=HTTPStatus.LENGTH_REQUIRED)
    if int(length or 0) > settings.DATA_UPLOAD_MAX_MEMORY_SIZE:
        return HttpResponse(status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    return None
