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
FRESH = "public, max-age=3600"
"""For an hour a browser need not ask whether there is a newer version."""
LASTING = "public, max-age=31536000, immutable"
"""For what has its version in its address, it need not for a year."""


@dataclass(frozen=True)
class Part:
    """One file as it is sent."""

    content: bytes
    compressed: bytes
    media_type: str
    etag: str


@cache
def parts() -> dict[str, Part]:
    """Return all files by their name below ``/widget/v1/``. The script knows under which version the others are."""
    texts = _texts()
    texts["api.js"] = texts["api.js"].replace('VERSION = ""', f'VERSION = "{version()}/"')
    return {name: _part(name, text.encode()) for name, text in texts.items()}


@cache
def version() -> str:
    """Return what changes when any of the files does, so that no browser mixes old ones with new ones."""
    return hashlib.sha256(repr(_texts()).encode()).hexdigest()[:12]


def _texts() -> dict[str, str]:
    files = (path for path in sorted(FOLDER.rglob("*")) if path.suffix in TYPES)
    return {path.relative_to(FOLDER).as_posix(): _short(path.read_text()) for path in files}


def _part(name: str, content: bytes) -> Part:
    digest = hashlib.sha256(content).hexdigest()[:20]
    return Part(content, gzip.compress(content, 9, mtime=0), TYPES[Path(name).suffix], f'W/"{digest}"')


def _short(text: str) -> str:
    """Leave out indentation, empty lines and lines that are comments: a seventh of the bytes, compressed."""
    lines = (line.strip() for line in text.splitlines())
    return "\n".join(line for line in lines if line and not re.match(r"//|/\*\*.*\*/$", line))


def _etag(_: HttpRequest, name: str, **__: str) -> str | None:
    return parts()[name].etag if name in parts() else None


@require_safe
@condition(etag_func=_etag)
def part(request: HttpRequest, name: str, asked: str = "") -> HttpResponse:
    """Send one file, whatever version was ``asked`` for.

    Any page may load it: it does nothing without a site key whose site lists the page's host.
    """
    one = parts().get(name)
    if one is None:
        raise Http404(f"The widget has no {name!r}.")
    small = "gzip" in request.headers.get("Accept-Encoding", "")
    response = HttpResponse(one.compressed if small else one.content, content_type=one.media_type)
    if small:
        response["Content-Encoding"] = "gzip"
    patch_vary_headers(response, ["Accept-Encoding"])
    response["Cache-Control"] = LASTING if asked == version() else FRESH
    response["Access-Control-Allow-Origin"] = "*"
    response["Cross-Origin-Resource-Policy"] = "cross-origin"
    response["Content-Security-Policy"] = "default-src 'none'"  # Shorter than that of pages, and enough for a file.
    return response
