"""Telling visitors apart without knowing who they are."""

import hmac
import re
import secrets
from collections.abc import Mapping
from datetime import UTC, date, datetime
from ipaddress import ip_address, ip_network

from django.conf import settings
from django.db import connection, transaction

from drcaptcha.labelling.models import Salt
from drcaptcha.queries import moment
from drcaptcha.sites.models import Site


def stored(keys: Mapping[str, int], now: datetime) -> dict[str, int]:
    """Return the numbers of sources by their keys, which are told with the numbers of their sites.

    Those that come for the first time are stored.
    """
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO labelling_source (site_id, key, created, mass, trust, doubt, settled_trust, settled_doubt) "
            "VALUES (%s, %s, %s, 0, 0, 0, 0, 0) ON CONFLICT (key) DO NOTHING",
            [(site, key, moment(now)) for key, site in sorted(keys.items())],
        )
        places = ", ".join(["%s"] * len(keys))
        cursor.execute(f"SELECT key, id FROM labelling_source WHERE key IN ({places})", list(keys))  # noqa: S608 -- Only places.
        return dict(cursor.fetchall())


def source_key(address: str, site: Site, now: datetime) -> str:
    """Return 64 hexadecimal digits that tell an address on a site from others for a day (UTC).

    Who has the secret key and the database can try addresses on them that day; afterwards, nobody can.
    """
    day = now.astimezone(UTC).date()
    secret = f"drcaptcha.source{settings.SECRET_KEY}{_salt(day)}"
    return hmac.digest(secret.encode(), f"{day}|{site.pk}|{_network(address)}".encode(), "sha256").hex()


_known: dict[date, str] = {}
"""The salt of the day that was asked for last."""


def _salt(day: date) -> str:
    """Return the salt of a day, which all server processes share; whoever makes it throws away those before."""
    if (value := _known.get(day)) is not None:
        return value
    salt, made = Salt.objects.get_or_create(day=day, defaults={"value": secrets.token_urlsafe(32)})
    if made:
        throw_away_salts(day)

    def keep() -> None:
        _known.clear()
        _known[day] = salt.value

    transaction.on_commit(keep)  # Another process makes another one if it is rolled back.
    return salt.value


def throw_away_salts(day: date) -> None:
    """Throw away the salts of all days before this one."""
    Salt.objects.filter(day__lt=day).delete()


def _network(address: str) -> str:
    """Return the part of an address that one visitor can't change at will: all of IPv4, the first half of IPv6."""
    try:
        parsed = ip_address(address)
    except ValueError:
        plain = _without_port(address)
        return _network(plain) if plain else address
    if parsed.version == 4:
        return str(parsed)
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return str(ip_network((parsed, 64), strict=False))


def _without_port(address: str) -> str:
    """Return an address to which a gateway has written the port it came from, without it; empty where it is none."""
    found = re.fullmatch(r"\[([0-9a-fA-F:.]+)\](?::\d+)?|([0-9.]+):\d+", address)
    return (found[1] or found[2]) if found else ""
