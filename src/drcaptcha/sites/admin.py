"""Sites in the administration."""

from django.contrib import admin

from drcaptcha.administration.base import Page
from drcaptcha.sites.models import Site


@admin.register(Site)
class SiteAdmin(Page[Site]):
    """The places that are protected, with the public key that each embeds."""

    list_display = ("name", "sitekey", "created")
    search_fields = ("name", "sitekey")
    fields = ("name", "sitekey", "created")
    readonly_fields = ("sitekey", "created")
