"""Captchas and attempts: what was asked, and how it was answered."""

from collections.abc import Iterator

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.loader import render_to_string
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from drcaptcha.administration.base import FoundByNumber, Log, chip, link
from drcaptcha.challenges.models import NEVER, Attempt, Captcha, Slot
from drcaptcha.glyphs.admin import picture
from drcaptcha.glyphs.models import Glyph
from handwriting.rendering import STYLES


class StandingFilter(admin.SimpleListFilter):
    """Filters captchas by where they are in their life."""

    title = "standing"
    parameter_name = "standing"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, str]]:  # noqa: ARG002
        """Name the stations."""
        return [("pool", "in the pool"), ("issued", "issued"), ("answered", "answered")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Captcha]) -> QuerySet[Captcha]:  # noqa: ARG002
        """Keep the captchas of one station."""
        indexed = queryset.filter(difficulty__in=STYLES)
        match self.value():
            case "pool":
                return indexed.filter(available__lte=timezone.now())
            case "issued":
                return indexed.filter(available__gt=timezone.now(), available__lt=NEVER)
            case "answered":
                return indexed.filter(available=NEVER)
        return queryset


@admin.register(Captcha)
class CaptchaAdmin(FoundByNumber, Log[Captcha]):
    """Pictures composed of glyphs, and what became of them."""

    until_there_is_one = "manage.py generatecaptchas fills the pool; the worker does when it runs empty."
    list_display = ("image", "number", "length", "standing", "created")
    list_display_links = ("image", "number")
    list_filter = (StandingFilter,)
    list_per_page = 25
    sortable_by = ("number",)
    search_help_text = "The number of a captcha"
    fields = ("image", "standing", "slots", "created")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Captcha]:
        """Leave out the pictures, which have an address of their own, and captchas that are heard, which have none."""
        return super().get_queryset(request).exclude(width=0).defer("picture").select_related("attempt")

    def get_urls(self) -> list[URLPattern]:
        """Add the address of a captcha's picture."""
        view = self.admin_site.admin_view(self.picture_view, cacheable=True)
        return [path("<int:pk>/picture/", view, name="challenges_captcha_picture"), *super().get_urls()]

    def picture_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Serve the picture of a captcha to whoever may see captchas."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        captcha = get_object_or_404(Captcha, pk=pk)
        headers = {"Cache-Control": "private, max-age=86400, immutable", "X-Content-Type-Options": "nosniff"}
        return HttpResponse(bytes(captcha.picture), content_type=captcha.media_type, headers=headers)

    @admin.display(description="picture")
    def image(self, captcha: Captcha) -> SafeString:
        """Show the picture, which the browser fetches when it comes into view."""
        return format_html(
            '<img class="captcha" src="{}" width="{}" height="{}" alt="{}" loading="lazy">',
            reverse("admin:challenges_captcha_picture", args=[captcha.pk]),
            captcha.width,
            captcha.height,
            captcha,
        )

    @admin.display(description="number", ordering="pk")
    def number(self, captcha: Captcha) -> str:
        """Return the number by which the captcha is found."""
        return f"#{captcha.pk}"

    @admin.display(description="standing")
    def standing(self, captcha: Captcha) -> SafeString:
        """Tell where in its life the captcha is."""
        if hasattr(captcha, "attempt"):
            return link(captcha.attempt, _verdict(captcha.attempt))
        if captcha.available == NEVER:
            return chip("answered")
        return chip("in the pool") if captcha.available <= timezone.now() else chip("issued", "warm")

    @admin.display(description="slots")
    def slots(self, captcha: Captcha) -> SafeString | str:
        """Show the glyphs from left to right, with the part that each plays."""
        slots = captcha.slots
        glyphs = Glyph.objects.in_bulk([slot.glyph for slot in slots])
        return render_to_string("administration/slots.html", {"slots": list(_shown(slots, glyphs))})


@admin.register(Attempt)
class AttemptAdmin(Log[Attempt]):
    """The judged answers."""

    until_there_is_one = (
        "An answer is listed here when it has been judged, for as long as DRCAPTCHA_RETENTION_DAYS says."
    )
    list_display = ("verdict", "of_captcha", "site", "created", "redeemed")
    list_filter = ("passed", "site")
    list_select_related = ("site",)
    sortable_by = ()
    fields = ("verdict", "of_captcha", "site", "created", "redeemed")

    @admin.display(description="verdict")
    def verdict(self, attempt: Attempt) -> SafeString:
        """Return whether the visitor passed."""
        return _verdict(attempt)

    @admin.display(description="captcha")
    def of_captcha(self, attempt: Attempt) -> SafeString:
        """Link to the captcha."""
        address = reverse("admin:challenges_captcha_change", args=[attempt.captcha_id])
        return format_html('<a class="row-link" href="{}">#{}</a>', address, attempt.captcha_id)


def _verdict(attempt: Attempt) -> SafeString:
    return chip("passed", "good") if attempt.passed else chip("failed", "bad")


def _shown(slots: list[Slot], glyphs: dict[int, Glyph]) -> Iterator[dict[str, object]]:
    for slot in slots:
        glyph = glyphs.get(slot.glyph)
        yield {
            "slot": slot,
            "picture": link(glyph, picture(glyph, side=84)) if glyph else "gone",
            "role": chip(slot.role, "good" if slot.gates else "warm"),
            "label": glyph.label if glyph else "",
        }
