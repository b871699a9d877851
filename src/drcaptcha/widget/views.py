"""Serving the script and what it loads, to pages on any host."""

import gzip
import hashlib
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from django.http import Http404, HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers
from django.views.decorators.http import condition, require_safe

FOLDER = Path(__file__).parent / "v1"
TYPES = {".js": "text/javascript; charset=utf-8", ".json": "application/json"}
FRESH = 3600
"""Seconds in which a browser need not ask whether there is a newer version."""


@dataclass(frozen=True)
class Part:
    """One file as it is sent."""

    content: bytes
    compressed: bytes
    media_type: str
    etag: str


@cache
def parts() -> dict[str, Part]:
    """Return all files by their name below ``/widget/v1/``."""
    found = {}
    for path in sorted(FOLDER.rglob("*")):
        if path.suffix in TYPES:
            content = _short(path.read_text()).encode()
            digest = hashlib.sha256(content).hexdigest()[:20]
            found[path.relative_to(FOLDER).as_posix()] = Part(
                content, gzip.compress(content, 9, mtime=0), TYPES[path.suffix], f'W/"{digest}"'
            )
    return found


def _short(text: str) -> str:
    """Leave out indentation, empty lines and lines that are comments: a seventh of the bytes, compressed."""
    lines = (line.strip() for line in text.splitlines())
    return "\n".join(line for line in lines if line and not re.match(r"//|/\*\*.*\*/$", line))


def _etag(_: HttpRequest, name: str) -> str | None:
    return parts()[name].etag if name in parts() else None


@require_safe
@condition(etag_func=_etag)
def part(request: HttpRequest, name: str) -> HttpResponse:
    """Send one file. Any page may load it: it does nothing without a site key whose site lists the page's host."""
    one = parts().get(name)
    if one is None:
        raise Http404(f"The widget has no {name!r}.")
    small = "gzip" in request.headers.get("Accept-Encoding", "")
    response = HttpResponse(one.compressed if small else one.content, content_type=one.media_type)
    if small:
        response["Content-Encoding"] = "gzip"
    patch_vary_headers(response, ["Accept-Encoding"])
    response["Cache-Control"] = f"public, max-age={FRESH}"
    response["Access-Control-Allow-Origin"] = "*"
    response["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response
