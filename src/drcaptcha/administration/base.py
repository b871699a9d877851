"""What all pages of the administration share."""

from typing import TYPE_CHECKING, Any, TypeVar, cast

from django.contrib import messages
from django.core.paginator import Paginator
from django.db import models
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.safestring import SafeString

from drcaptcha.errors import DrCaptchaError

if TYPE_CHECKING:
    # The theme has no types: a checker sees Django's own classes, which the theme's extend.
    from django.contrib.admin import ModelAdmin, TabularInline
    from django.contrib.admin.views.main import ChangeList
else:
    from unfold import admin as unfold
    from unfold.views import ChangeList

    class ModelAdmin(unfold.ModelAdmin):
        def __class_getitem__(cls, model: object) -> type:
            return cls

    class TabularInline(unfold.TabularInline):
        def __class_getitem__(cls, models: object) -> type:
            return cls


__all__ = [
    "FoundByNumber",
    "Log",
    "LogInline",
    "ModelAdmin",
    "Page",
    "TabularInline",
    "chip",
    "link",
]

Row = TypeVar("Row", bound=models.Model)
Parent = TypeVar("Parent", bound=models.Model)


class CappedPaginator(Paginator[Any]):
    """Pages through rows in their millions.

    It counts no further than ``LIMIT``; what lies beyond is reached by search and filters.
    """

    LIMIT = 10_000
    template_name = "administration/pagination.html"

    @cached_property
    def count(self) -> int:
        """The number of rows, or ``LIMIT`` where there are as many or more."""
        rows = cast("models.QuerySet[models.Model]", self.object_list)
        return rows.order_by()[: self.LIMIT].count()

    def page(self, number: int | str) -> Any:
        """Return one page of rows.

        The numbers of its rows are found first, which an index alone can do. To sort whole rows would read the
        picture of every glyph that a filter leaves.
        """
        page = super().page(number)
        found = cast("models.QuerySet[models.Model]", page.object_list)
        rows = cast("models.QuerySet[models.Model]", self.object_list)
        page.object_list = rows.filter(pk__in=list(found.values_list("pk", flat=True)))
        return page

    @property
    def capped(self) -> bool:
        """Whether there may be more rows than were counted."""
        return self.count == self.LIMIT


class CappedList(ChangeList):
    """A list that knows one count only, so that the theme sets no second one beside it."""

    def get_results(self, request: HttpRequest) -> None:
        """Read one page of rows."""
        super().get_results(request)
        self.full_result_count = self.result_count


class Page(ModelAdmin[Row]):
    """A page whose lists stay quick and whose errors are shown to the administrator in their own words."""

    paginator = CappedPaginator
    show_full_result_count = False
    list_disable_select_all = True
    list_per_page = 50
    compressed_fields = False
    ordering = ("-pk",)

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:  # noqa: ARG002
        """Return the class of this page's list."""
        return CappedList

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the list, or say why an action failed."""
        try:
            return super().changelist_view(request, extra_context)
        except DrCaptchaError as error:
            return self._refuse(request, error)

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Show or save one row, or say why it can't be saved."""
        try:
            return super().changeform_view(request, object_id, form_url, extra_context)
        except DrCaptchaError as error:
            return self._refuse(request, error)

    def _refuse(self, request: HttpRequest, error: DrCaptchaError) -> HttpResponse:
        self.message_user(request, error.message, messages.ERROR)
        return HttpResponseRedirect(request.get_full_path())


class FoundByNumber:
    """Rows that are searched by a number, which an index answers however many they are."""

    numbered = "pk"
    """The field that holds the number."""

    search_fields: list[str] | tuple[str, ...] = ("pk",)
    """Not looked up: a list has a search box only where this names something."""

    def get_search_results(
        self,
        request: HttpRequest,  # noqa: ARG002
        queryset: models.QuerySet[Any],
        search_term: str,
    ) -> tuple[models.QuerySet[Any], bool]:
        """Find by the number; a term that is none finds nothing."""
        number = search_term.strip().removeprefix("#")
        if number.isdecimal():
            return queryset.filter(**{self.numbered: int(number)}), False
        return (queryset.none() if number else queryset), False


class NotByHand:
    """Rows that the program writes: they can be looked at, and neither added nor changed nor removed."""

    def has_add_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:  # noqa: ARG002
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:  # noqa: ARG002
        return False

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:  # noqa: ARG002
        return False


class Log(NotByHand, Page[Row]):
    """A page that only shows."""


class LogInline(NotByHand, TabularInline[Row, Parent]):
    """The rows that belong to another, only shown."""

    extra = 0
    hide_title = True


def chip(text: str, tone: str = "plain") -> SafeString:
    """Return a short word set off from the text. The stylesheet knows the tones plain, good, warm and bad."""
    return format_html('<span class="chip chip-{}">{}</span>', tone, text)


def link(row: models.Model, text: object) -> SafeString:
    """Return a link to the page of a row."""
    meta = row._meta  # noqa: SLF001 - Django documents it.
    address = reverse(f"admin:{meta.app_label}_{meta.model_name}_change", args=[row.pk])
    return format_html('<a class="row-link" href="{}">{}</a>', address, text)
