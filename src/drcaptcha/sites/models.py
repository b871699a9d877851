"""Sites: the places whose forms are protected."""

import secrets
from typing import Self

from django.db import models

from drcaptcha.errors import UnknownSite


def new_sitekey() -> str:
    """Return a fresh public key for a site."""
    return secrets.token_urlsafe(18)


class Site(models.Model):
    """A place whose visitors are challenged. Votes of one visitor on two sites come from two sources."""

    name = models.CharField(max_length=200, unique=True)
    sitekey = models.CharField(max_length=64, unique=True, default=new_sitekey, editable=False)
    created = models.DateTimeField(auto_now_add=True)

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
            return cls.objects.get_or_create(name=cls.HOME)[0]
        site = cls.objects.filter(sitekey=sitekey).first()
        if site is None:
            raise UnknownSite
        return site
