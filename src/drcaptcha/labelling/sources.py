"""Telling visitors apart without knowing who they are."""

from datetime import UTC, datetime
from ipaddress import ip_address, ip_network

from django.utils.crypto import salted_hmac

from drcaptcha.labelling.models import Source
from drcaptcha.sites.models import Site


def source_of(address: str, site: Site, now: datetime) -> Source:
    """Return the source that stands for an address on a site today."""
    key = source_key(address, site, now)
    return Source.objects.get_or_create(key=key, defaults={"site": site, "created": now})[0]


def source_key(address: str, site: Site, now: datetime) -> str:
    """Return 64 hexadecimal digits that can't be traced back without the secret key and change every day (UTC)."""
    day = now.astimezone(UTC).date().isoformat()
    return salted_hmac("drcaptcha.source", f"{day}|{site.pk}|{_network(address)}", algorithm="sha256").hexdigest()


def _network(address: str) -> str:
    """Return the part of an address that one visitor can't change at will: all of IPv4, the first half of IPv6."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return address
    if parsed.version == 4:
        return str(parsed)
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return str(ip_network((parsed, 64), strict=False))
