"""Sites in the administration: their keys and hosts, and what comes of their challenges.

Who is no superuser sees and changes the sites that are his own, as far as his rights go.
"""

from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet, Sum
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.template.loader import render_to_string
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminTextareaWidget

from drcaptcha.administration.base import Deletable, chip, once, refusing
from drcaptcha.sites import counting, hosts, owners
from drcaptcha.sites.models import Secret, Site, Traffic
from drcaptcha.sites.registering import check_foreign, close, remove, reopen, rotate


class HostsField(forms.CharField):
    """Hosts, one a line."""

    def prepare_value(self, value: Any) -> Any:
        """Write the list as lines."""
        return "\n".join(value) if isinstance(value, list) else value

    def to_python(self, value: Any) -> Any:
        """Return the lines as they are compared."""
        lines = str(value or "").replace(",", "\n").split()
        try:
            return hosts.clean_all(lines) if lines else []
        except ValueError as error:
            raise forms.ValidationError(str(error)) from error


class SiteForm(forms.ModelForm[Site]):
    """A site as its owner describes it."""

    hosts = HostsField(
        widget=UnfoldAdminTextareaWidget({"rows": 4}),
        help_text=Site._meta.get_field("hosts").help_text,  # noqa: SLF001 -- Django documents it.
    )

    class Meta:
        model = Site
        fields = ("name", "hosts", "quota", "owner")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.name == Site.HOME:
            self.fields["hosts"].required = False

    def clean_name(self) -> str:
        """Leave the name of the service's own site alone."""
        name: str = self.cleaned_data["name"]
        if (name == Site.HOME) != (self.instance.name == Site.HOME):
            raise forms.ValidationError(f"“{Site.HOME}” is the service's own site, and keeps its name.")
        return name


@admin.register(Site)
class SiteAdmin(Deletable[Site]):
    """The places that are protected, with the public key that each embeds."""

    until_there_is_one = "Register the site whose forms are to be protected."
    form = SiteForm
    list_display = ("name", "standing", "sitekey", "listed", "today", "owner", "created")
    list_select_related = ("owner",)
    search_fields = ("name", "sitekey")
    readonly_fields = ("sitekey", "secrets", "open_or_closed", "traffic")

    def get_fieldsets(self, request: HttpRequest, obj: Site | None = None) -> Any:
        """Ask for what a site needs, and show what comes of it once it is there.

        Superusers alone say who owns a site and how many challenges it may have.
        """
        described = ("name", "hosts", *(("quota", "owner") if request.user.is_superuser else ("quota",) if obj else ()))
        kept = (("Keys", ("sitekey", "secrets", "open_or_closed")), ("The last 30 days", ("traffic",))) if obj else ()
        return [(title, {"fields": fields}) for title, fields in ((None, described), *kept)]

    def get_readonly_fields(self, request: HttpRequest, obj: Site | None = None) -> Any:  # noqa: ARG002
        """Show owners the quota that they have been given."""
        return self.readonly_fields if request.user.is_superuser else (*self.readonly_fields, "quota")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Site]:
        """Show superusers all sites, and others their own."""
        sites = super().get_queryset(request).annotate(issued=counting.issued_today(timezone.now()))
        return owners.only_of(request.user, sites)

    def get_urls(self) -> list[URLPattern]:
        """Add the addresses at which a secret is changed, and a site closed and opened again."""
        wrap = self.admin_site.admin_view
        return [
            path("<int:pk>/rotate/", wrap(self.rotate_view), name="sites_site_rotate"),
            path("<int:pk>/close/", wrap(self.close_view), name="sites_site_close"),
            *super().get_urls(),
        ]

    @refusing
    def close_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Ask whether a site is to be closed, or where it is, opened again; and do so."""
        site = self._changeable(request, pk)
        check_foreign(site)
        if request.method != "POST":
            title = f"Open {site} again?" if site.closed else f"Close {site}?"
            shown = {"title": title, "opts": self.opts, "site_row": site}
            return render(request, "administration/close.html", {**self.admin_site.each_context(request), **shown})
        if request.POST.get("to") == "open":
            reopen(site)
            said = "is open again."
        else:
            close(site, now=timezone.now())
            said = "is closed."
        self.log_change(request, site, f"It {said}")
        self.message_user(request, f"{site} {said}")
        return HttpResponseRedirect(reverse("admin:sites_site_change", args=[site.pk]))

    def rotate_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Ask whether a site is to have a new secret, and show it."""
        site = self._changeable(request, pk)
        if request.method != "POST":
            shown = {"title": f"A new secret for {site}", "opts": self.opts, "site_row": site}
            return render(request, "administration/rotate.html", {**self.admin_site.each_context(request), **shown})
        at_once = request.POST.get("when") == "at-once"
        secret = rotate(site, now=timezone.now(), at_once=at_once)
        self.log_change(request, site, "Changed the secret" + (", the old one ended at once." if at_once else "."))
        return self._tell(request, site, secret)

    def save_model(self, request: HttpRequest, obj: Site, form: Any, change: bool) -> None:  # noqa: FBT001
        """Store a site. Who registers one owns it, unless a superuser says otherwise."""
        if not change and obj.owner is None:
            obj.owner_id = request.user.pk
        super().save_model(request, obj, form, change)

    def response_add(self, request: HttpRequest, obj: Site, post_url_continue: str | None = None) -> HttpResponse:  # noqa: ARG002
        """Show the keys of a new site, its secret this once."""
        return self._tell(request, obj, Secret.issue(obj, timezone.now()))

    def delete_model(self, request: HttpRequest, obj: Site) -> None:  # noqa: ARG002
        """Delete a site."""
        remove(obj)

    def check_deletion(self, row: Site) -> None:
        """Refuse where it is the service's own."""
        check_foreign(row)

    def going(self, row: Site) -> list[str]:
        """Return what goes with a site."""
        issued = Traffic.objects.filter(site=row).aggregate(total=Sum("issued"))["total"] or 0
        keys = "its site key and its secrets: its pages get no challenge any more, its server can redeem nothing"
        return [keys, f"what was counted by day: {issued:,} challenges, and what came of each of them"]

    def staying(self, row: Site) -> str:
        """Return what stays."""
        closing = "" if row.closed else " To stop its captcha for a while, close it instead."
        return f"What its visitors voted stays, and so do the labels of glyphs.{closing}"

    def _changeable(self, request: HttpRequest, pk: int) -> Site:
        site = get_object_or_404(self.get_queryset(request), pk=pk)
        if not self.has_change_permission(request, site):
            raise PermissionDenied
        return site

    def _tell(self, request: HttpRequest, site: Site, secret: str) -> HttpResponse:
        shown = {"title": f"The keys of {site}", "opts": self.opts, "site_row": site, "secret": secret}
        context = {**self.admin_site.each_context(request), **shown}
        return render(request, "administration/secret.html", context)  # Django lets none of these pages be stored.

    @admin.display(description="state", ordering="closed")
    def standing(self, site: Site) -> SafeString:
        """Tell whether it is open."""
        return chip("closed", "bad") if site.closed else chip("open", "good")

    @admin.display(description="state")
    def open_or_closed(self, site: Site) -> SafeString:
        """Tell whether it is open, and lead to where that is changed."""
        if site.name == Site.HOME:
            return chip("open", "good")
        since = f" since {site.closed:%Y-%m-%d %H:%M}." if site.closed else ""
        address = reverse("admin:sites_site_close", args=[site.pk])
        words = "Open it again" if site.closed else "Close it"
        return format_html('{}{} <a class="row-link" href="{}">{}</a>', self.standing(site), since, address, words)

    @admin.display(description="hosts")
    def listed(self, site: Site) -> str:
        """Name the first hosts."""
        more = len(site.hosts) - 2
        return ", ".join(site.hosts[:2]) + (f" and {more} more" if more > 0 else "") or "–"

    @admin.display(description="today")
    def today(self, site: Site) -> str:
        """Return how many challenges were issued today, and how many may be."""
        issued: int = getattr(site, "issued", None) or 0
        return f"{issued:,} of {site.quota:,}" if site.quota else f"{issued:,}"

    @admin.display(description="secrets")
    @once
    def secrets(self, site: Site) -> SafeString | str:
        """List the secrets that hold, by their beginning, and lead to where there is a new one."""
        held = Secret.objects.holding(timezone.now()).filter(site=site).order_by("-pk")
        address = reverse("admin:sites_site_rotate", args=[site.pk])
        return render_to_string("administration/secrets.html", {"secrets": held, "address": address})

    @admin.display(description="")
    @once
    def traffic(self, site: Site) -> SafeString | str:
        """Show by day what came of its challenges."""
        days = counting.days(site, timezone.now())
        if not days:
            return "Nobody has asked for a challenge yet. With the first one the day is counted here."
        sums = {name: sum(getattr(day, name) for day in days) for name in counting.COLUMNS}
        most = max(day.issued for day in days)
        return render_to_string("administration/traffic.html", {"days": days, "sums": sums, "most": most})
