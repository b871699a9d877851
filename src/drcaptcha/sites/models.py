"""Sites: the places whose forms are protected."""

import secrets

from django.db import models


def new_sitekey() -> str:
    """Return a fresh public key for a site."""
    return secrets.token_urlsafe(18)


class Site(models.Model):
    """A place whose visitors are challenged. Votes of one visitor on two sites come from two sources."""

    name = models.CharField(max_length=200, unique=True)
    sitekey = models.CharField(max_length=64, unique=True, default=new_sitekey, editable=False)
    created = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name
