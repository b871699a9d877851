"""Hosts: the places on the web where a site's challenges may be shown.

As in Django's ``ALLOWED_HOSTS``, ``example.org`` is that host alone, and ``.example.org`` all below it as well.
"""

import re
from collections.abc import Iterable
from ipaddress import ip_address
from urllib.parse import urlsplit

OPAQUE = "null"
"""The host of a page that does not tell which it is, as browsers write its origin. No site can list it."""

MOST = 100
"""Hosts that a site may list."""

_NAME = re.compile(r"(?=.{1,253}$)\.?[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?)*")


def host_of(origin: str) -> str:
    """Return the host in an address or an origin, in small letters and without a port; ``OPAQUE`` where none is."""
    try:
        host = (urlsplit(origin).hostname or "").strip(".")
        return clean(host)
    except ValueError:
        return OPAQUE


def clean(text: str) -> str:
    """Return a host as it is compared: in small letters, and international names as the network writes them.

    Raises:
        ValueError: it is no host; the message says what is wrong.
    """
    bare = text.strip().removeprefix("[").removesuffix("]")
    try:
        return str(ip_address(bare))
    except ValueError:
        pass
    try:
        name = bare.removeprefix(".").encode("idna").decode().lower()
    except UnicodeError:
        name = ""
    name = "." * bare.startswith(".") + name
    if not _NAME.fullmatch(name) or name == OPAQUE:
        raise ValueError(f"{text.strip()!r} is no host. Write it alone, as in www.example.org or localhost.")
    return name


def clean_all(texts: Iterable[str]) -> list[str]:
    """Return hosts as they are compared, each once.

    Raises:
        ValueError: one of them is no host, there is none, or there are more than ``MOST``.
    """
    found = list(dict.fromkeys(clean(text) for text in texts if text.strip()))
    if not 0 < len(found) <= MOST:
        raise ValueError(f"A site needs a host, and can have {MOST} at the most.")
    return found


def matches(host: str, listed: str) -> bool:
    """Return whether a host is the listed one, or below it where the listed one starts with a dot."""
    return host == listed.removeprefix(".") or (listed.startswith(".") and host.endswith(listed))
