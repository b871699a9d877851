"""Registering sites, closing them, and changing their secrets."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from django.contrib.auth.models import User
from django.db import OperationalError, transaction

from drcaptcha.errors import NotPossible
from drcaptcha.sites import hosts as names
from drcaptcha.sites.models import Secret, Site

OVERLAP = timedelta(hours=2)
"""How long the old secret holds beside the new one, so that a site's servers can change over one by one."""


TRIES = 5
"""How often a site is tried to be deleted while its visitors are busy."""


class Registered(NamedTuple):
    """A site with its secret, which is known this once."""

    site: Site
    secret: str


@transaction.atomic
def register(
    name: str, hosts: Iterable[str], *, quota: int = 0, owner: User | None = None, now: datetime
) -> Registered:
    """Register a site.

    Raises:
        NotPossible: the name is taken or empty, or a host is none.
    """
    name = name.strip()
    if not name or name == Site.HOME or Site.objects.filter(name=name).exists():
        raise NotPossible(f"There is a site {name!r} already." if name else "A site needs a name.")
    try:
        listed = names.clean_all(hosts)
    except ValueError as error:
        raise NotPossible(str(error)) from error
    site = Site.objects.create(name=name, hosts=listed, quota=quota, owner=owner)
    return Registered(site, Secret.issue(site, now))


def close(site: Site, *, now: datetime) -> None:
    """Refuse the keys of a site from now on, until it is opened again.

    Raises:
        NotPossible: it is the service's own.
    """
    check_foreign(site)
    Site.objects.filter(pk=site.pk, closed=None).update(closed=now)


def reopen(site: Site) -> None:
    """Let the keys of a site be good again."""
    Site.objects.filter(pk=site.pk).update(closed=None)


def remove(site: Site) -> None:
    """Delete a site with all that is its own. Whoever is about to add to it waits meanwhile, and is refused then."""
    for again in reversed(range(TRIES)):
        try:
            with transaction.atomic():
                Site.objects.select_for_update().get(pk=site.pk)
                site.delete()
        except OperationalError:  # It and somebody who counts waited for each other, which PostgreSQL has ended.
            if not again:
                raise
        else:
            return


def check_foreign(site: Site) -> None:
    """Refuse to close or delete the service's own site.

    Raises:
        NotPossible: it is that.
    """
    if site.name == Site.HOME:
        raise NotPossible(f"“{Site.HOME}” is the service's own site: without it nobody could be asked here.")


@transaction.atomic
def rotate(site: Site, *, now: datetime, at_once: bool = False) -> str:
    """Give a site a new secret and return it. What it had holds for ``OVERLAP`` longer, or ``at_once`` no more.

    A secret that was replaced before keeps its own end.
    """
    Site.objects.select_for_update().get(pk=site.pk)
    held = Secret.objects.filter(site=site)
    if at_once:
        held.delete()
    else:
        held.filter(ends__lte=now).delete()
        held.filter(ends=None).update(ends=now + OVERLAP)
    return Secret.issue(site, now)
