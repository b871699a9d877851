"""Who is calling."""

from django.conf import settings
from django.http import HttpRequest

from drcaptcha.sites import hosts


def address_of(request: HttpRequest) -> str:
    """Return the address that the call comes from.

    X-Forwarded-For is read only where ``DRCAPTCHA_PROXIES`` says how many trusted proxies stand in front: each appends
    the address that called it, so the entry that many places from the right is the visitor's; what stands further
    left can be made up.
    """
    peer = str(request.META.get("REMOTE_ADDR", ""))
    hops = settings.DRCAPTCHA_PROXIES
    if not hops:
        return peer
    chain = [part.strip() for part in request.META.get("HTTP_X_FORWARDED_FOR", "").split(",") if part.strip()]
    return str(chain[-hops]) if len(chain) >= hops else peer


def host_of(request: HttpRequest) -> str:
    """Return the host of the page from which a browser calls; empty where the call does not say."""
    page = request.META.get("HTTP_ORIGIN") or request.META.get("HTTP_REFERER")
    return hosts.host_of(page) if page else ""
