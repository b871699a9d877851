"""Errors of the API are JSON, whatever part of the program made them."""

from collections.abc import Callable
from http import HTTPStatus

from django.http import HttpRequest, HttpResponse, JsonResponse


def json_errors(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """Turn a page that says what went wrong below /api/ into ``{"error": {"code", "message"}}``."""

    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        is_json = response.get("Content-Type", "").startswith("application/json")
        if response.status_code < HTTPStatus.BAD_REQUEST or is_json or not request.path.startswith("/api/"):
            return response
        status = HTTPStatus(response.status_code)
        error = {"code": status.phrase.lower().replace(" ", "-"), "message": f"{status.phrase}. {status.description}"}
        replacement = JsonResponse({"error": error}, status=status)
        if "Allow" in response:
            replacement["Allow"] = response["Allow"]
        return replacement

    return middleware
