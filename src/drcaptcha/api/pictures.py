"""Pictures as they arrive in requests."""

import base64
import json

import numpy as np
from django.http import HttpRequest

from drcaptcha.errors import BadRequest, PictureRejected
from handwriting import preprocessing


def glyph_of(request: HttpRequest) -> np.ndarray:
    """Return the picture that a request carries as a glyph, ``uint8`` of shape (28, 28).

    Raises:
        BadRequest: the request carries no picture.
        PictureRejected: what it carries can't be read as a picture of a character.
    """
    try:
        return preprocessing.read(_picture_of(request))
    except preprocessing.PictureError as error:
        raise PictureRejected(str(error)) from error


def _picture_of(request: HttpRequest) -> bytes:
    """Return the multipart field ``image``, or the content of the data URL in JSON."""
    if request.content_type == "multipart/form-data":
        upload = request.FILES.get("image")
        if upload is None:
            raise BadRequest("Send the picture as the multipart field 'image'.")
        return bytes(upload.read())
    if request.content_type != "application/json":
        raise BadRequest("Send JSON {\"image\": data URL} as application/json, or the multipart field 'image'.")
    try:
        image = json.loads(request.body)["image"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise BadRequest("Send JSON {\"image\": data URL}, or the multipart field 'image'.") from error
    return _decode(image)


def _decode(url: object) -> bytes:
    header, comma, payload = str(url).partition(",")
    if not comma or not header.startswith("data:image/") or not header.endswith(";base64"):
        raise PictureRejected("'image' must be a data URL, such as data:image/png;base64,…")
    try:
        return base64.b64decode(payload, validate=True)
    except ValueError as error:
        raise PictureRejected("The data URL holds broken base64.") from error
