"""Pictures as they arrive in requests, and how many guesses are wanted of each."""

import base64
import json

import numpy as np
from django.http import HttpRequest

from drcaptcha.api.schemas import MOST_GUESSES
from drcaptcha.errors import BadRequest, PictureRejected
from handwriting import preprocessing

DEFAULT = 3
"""Guesses where a request does not say how many it wants."""


def glyph_of(request: HttpRequest) -> tuple[np.ndarray, int]:
    """Return the picture that a request carries as a glyph, ``uint8`` of shape (28, 28), and how many guesses it wants.

    Raises:
        BadRequest: the request carries no picture, or an unfit number.
        PictureRejected: what it carries can't be read as a picture of a character.
    """
    picture, top = _picture_of(request)
    try:
        return preprocessing.read(picture), top
    except preprocessing.PictureError as error:
        raise PictureRejected(str(error)) from error


def _picture_of(request: HttpRequest) -> tuple[bytes, int]:
    """Return the multipart field ``image``, or the content of the data URL in JSON; with it ``top``."""
    if request.content_type == "multipart/form-data":
        upload = request.FILES.get("image")
        if upload is None:
            raise BadRequest("Send the picture as the multipart field 'image'.")
        return bytes(upload.read()), _top(request.POST.get("top", DEFAULT))
    if request.content_type != "application/json":
        raise BadRequest("Send JSON {\"image\": data URL} as application/json, or the multipart field 'image'.")
    try:
        body = json.loads(request.body)
        image, top = body["image"], body.get("top", DEFAULT)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadRequest("Send JSON {\"image\": data URL}, or the multipart field 'image'.") from error
    return _decode(image), _top(top)


def _top(wanted: object) -> int:
    if (
        isinstance(wanted, int | str)
        and len(text := str(wanted)) < 4
        and text.isdecimal()
        and 1 <= int(text) <= MOST_GUESSES
    ):
        return int(text)
    raise BadRequest(f"'top' is a number from 1 to {MOST_GUESSES}.")


def _decode(url: object) -> bytes:
    header, comma, payload = str(url).partition(",")
    if not comma or not header.startswith("data:image/") or not header.endswith(";base64"):
        raise PictureRejected("'image' must be a data URL, such as data:image/png;base64,…")
    try:
        return base64.b64decode(payload, validate=True)
    except ValueError as error:
        raise PictureRejected("The data URL holds broken base64.") from error
