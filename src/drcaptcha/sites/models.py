"""Sites: the places whose forms are protected; their secrets, and what they have to do with us."""

import hashlib
import json
from datetime import datetime
from typing import Self

from django.conf import settings
from django.db import models
from django.utils.crypto import constant_time_compare, get_random_string

from drcaptcha.errors import HostNotAllowed, SiteClosed, UnknownSite
from drcaptcha.queries import Blank, Question, Rows, moment
from drcaptcha.sites.hosts import matches


def new_sitekey() -> str:
    """Return a fresh public key for a site: letters and digits, so that no command takes it for an option."""
    return get_random_string(24)


class Site(models.Model):
    """A place whose visitors are challenged. Votes of one visitor on two sites come from two sources."""

    name = models.CharField(max_length=200, unique=True)
    sitekey = models.CharField("site key", max_length=64, unique=True, default=new_sitekey, editable=False)
    owner = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text="Who looks after it, besides superusers.",
    )
    hosts: "models.JSONField[list[str]]" = models.JSONField(
        default=list,
        blank=True,
        help_text="Where its challenges may be shown, one a line: www.example.org is that host alone, .example.org all "
        "below it as well. localhost only where it is listed.",
    )
    quota = models.PositiveIntegerField(default=0, help_text="Challenges a day (UTC); 0 for as many as are asked for.")
    created = models.DateTimeField(auto_now_add=True)
    closed = models.DateTimeField(
        null=True, blank=True, editable=False, help_text="Since when its keys are refused; empty while it is open."
    )

    HOME = "This installation"
    """The site that stands for the service's own pages, and for callers that name none."""

    def __str__(self) -> str:
        return self.name

    @classmethod
    def of(cls, sitekey: str | None) -> Self:
        """Return the site with this key, or the service's own where none is given.

        Raises:
            UnknownSite: no site has the key.
        """
        if not sitekey:
            return cls._read(_NAMED(cls.HOME)) or cls.objects.get_or_create(name=cls.HOME)[0]
        site = cls._read(_KEYED(sitekey))
        if site is None:
            raise UnknownSite
        return site

    @classmethod
    def numbered(cls, number: int) -> Self | None:
        """Return the site with this number, or None where it is gone."""
        return cls._read(_NUMBERED(number))

    @classmethod
    def _read(cls, rows: Rows) -> Self | None:
        """Return the site of a row with the columns that visitors need."""
        for *columns, hosts, quota, closed in rows:
            return cls.from_db(None, _SITE, (*columns, json.loads(hosts), quota, closed))
        return None

    def allows(self, host: str) -> bool:
        """Return whether a page on this host may show its challenges.

        A call that does not say from which host it comes is allowed: browsers always name the page that posts to
        another site, and programs could name any. The service's own site is tied to no host.
        """
        return not host or self.name == self.HOME or any(matches(host, listed) for listed in self.hosts)

    def admit(self, host: str) -> None:
        """Refuse whoever comes from a page on a host that the site has not listed, and all where it is closed.

        Raises:
            SiteClosed: it is closed.
            HostNotAllowed: the host is not listed.
        """
        if self.closed:
            raise SiteClosed
        if not self.allows(host):
            raise HostNotAllowed


_SITE = ("id", "name", "sitekey", "hosts", "quota", "closed")
_NAMED = Question(lambda name: Site.objects.filter(name=name).values_list(*_SITE))
_KEYED = Question(lambda sitekey: Site.objects.filter(sitekey=sitekey).values_list(*_SITE))
_NUMBERED = Question(lambda number: Site.objects.filter(pk=number).values_list(*_SITE))


class SecretQuerySet(models.QuerySet["Secret"]):
    """The selections of secrets that the flows speak of."""

    def holding(self, now: datetime | Blank) -> Self:
        """Select those that a server can prove itself with, once its site is open."""
        return self.filter(models.Q(ends=None) | models.Q(ends__gt=now))


class Secret(models.Model):
    """What a site's server proves itself with. Only its hash is kept: it is random enough to need no slow one."""

    START = 8
    """Characters at the beginning by which a secret is found and recognised."""

    LENGTH = 48
    """Characters in all, letters and digits. Those after the beginning are known to its owner alone."""

    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="secrets")
    start = models.CharField(max_length=START, db_index=True, help_text="How it begins.")
    digest = models.CharField(max_length=64, editable=False, help_text="SHA-256 of the whole.")
    created = models.DateTimeField()
    ends = models.DateTimeField(null=True, blank=True, help_text="Until when it holds, once there is a newer one.")

    objects = SecretQuerySet.as_manager()

    def __str__(self) -> str:
        return f"{self.start}…"

    @classmethod
    def issue(cls, site: Site, now: datetime) -> str:
        """Store a new secret of a site and return it, this once."""
        secret = get_random_string(cls.LENGTH)
        cls.objects.create(site=site, start=secret[: cls.START], digest=_digest(secret), created=now)
        return secret

    @classmethod
    def site_of(cls, secret: str, now: datetime) -> Site | None:
        """Return the open site that a secret is of, or None where it is of none (any more).

        However much of it is right, the same is compared, in constant time.
        """
        start = secret[: cls.START] if secret.isascii() and secret.isprintable() else ""
        candidates = _HELD(moment(now), start) or [("0" * 64, None)]
        digest = _digest(secret)
        found = [site for held, site in candidates if constant_time_compare(held, digest)]
        return Site.numbered(found[0]) if found else None


_HELD = Question(
    lambda now, start: Secret.objects.holding(now).filter(start=start, site__closed=None).values_list("digest", "site")
)


class Traffic(models.Model):
    """What came of a site's challenges on one day (UTC)."""

    site = models.ForeignKey(Site, on_delete=models.CASCADE, related_name="traffic")
    day = models.DateField()
    issued = models.PositiveIntegerField(default=0, help_text="Challenges handed to visitors.")
    passed = models.PositiveIntegerField(default=0, help_text="Answers that were right.")
    failed = models.PositiveIntegerField(default=0, help_text="Answers that were wrong.")
    redeemed = models.PositiveIntegerField(default=0, help_text="Responses that the site's server redeemed.")
    labels = models.PositiveIntegerField(default=0, help_text="Glyphs that got their label by a visitor's vote.")

    class Meta:
        verbose_name_plural = "traffic"
        constraints = [models.UniqueConstraint("site", "day", name="traffic_once_a_day")]

    def __str__(self) -> str:
        return f"{self.site} on {self.day}"


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode(errors="replace")).hexdigest()
