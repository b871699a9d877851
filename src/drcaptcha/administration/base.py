"""What all pages of the administration share."""

from collections.abc import Callable
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar, cast

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db import models
from django.forms.widgets import Script
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.template.loader import render_to_string
from django.urls import URLPattern, path, reverse
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timesince

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
    "Deletable",
    "FollowsWork",
    "FoundByNumber",
    "Log",
    "LogInline",
    "ModelAdmin",
    "Page",
    "TabularInline",
    "Work",
    "chip",
    "link",
    "once",
    "progress",
    "refusing",
]

Row = TypeVar("Row", bound=models.Model)
Parent = TypeVar("Parent", bound=models.Model)


def refusing(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """Have a view of a page say on a page, with the status of the error, that what was asked for is not possible."""

    @wraps(view)
    def careful(page: Any, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return view(page, request, *args, **kwargs)
        except DrCaptchaError as error:
            shown = {"title": "That is not possible", "opts": page.opts, "fault": error.message}
            context = {**page.admin_site.each_context(request), **shown}
            return render(request, "administration/refused.html", context, status=error.status)

    return careful


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
    """A page whose lists stay quick and whose errors are shown to the administrator in their own words.

    Where a list is empty, ``until_there_is_one`` says what fills it.
    """

    until_there_is_one = ""
    paginator = CappedPaginator
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_disable_select_all = True
    list_per_page = 50
    empty_value_display = "–"
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


class Deletable(Page[Row]):
    """A page whose rows can be deleted by whoever may. It asks first, and says what goes with a row and what stays."""

    delete_confirmation_template = "administration/delete.html"

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:  # noqa: ARG002
        """Allow whoever may delete such rows to."""
        return request.user.has_perm(f"{self.opts.app_label}.delete_{self.opts.model_name}")

    def check_deletion(self, row: Row) -> None:
        """Raise a ``DrCaptchaError`` where a row can't be deleted."""

    def going(self, row: Row) -> list[str]:
        """Return what goes with a row, a phrase each."""
        raise NotImplementedError

    def staying(self, row: Row) -> str:
        """Return what stays, as a sentence; empty where there is nothing to say."""
        raise NotImplementedError

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Any:  # noqa: ARG002
        """Name what goes. Django would list every row, and there may be a million."""
        rows = list(objs)
        for row in rows:
            self.check_deletion(row)
        named = [part for row in rows for part in (str(row), self.going(row))]
        return named, {self.opts.verbose_name_plural: len(rows)}, set(), []

    @refusing
    def delete_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Ask whether a row is to be deleted, and delete it; or say why it can't be."""
        row = self.get_object(request, object_id)
        shown = {"title": f"Delete {row}?", "going": self.going(row), "staying": self.staying(row)} if row else {}
        return super().delete_view(request, object_id, shown | (extra_context or {}))


class Log(NotByHand, Page[Row]):
    """A page that only shows."""


class LogInline(NotByHand, TabularInline[Row, Parent]):
    """The rows that belong to another, only shown."""

    extra = 0
    hide_title = True


class FollowsWork:
    """The script that moves progress bars."""

    class Media:
        js = (Script("administration/progress.js", type="module"),)


class Work(FollowsWork, Log[Row]):
    """Pieces of work in the background, whose pages show by themselves how far they have come.

    To add one is to start it. Its rows have a ``state``, ``done`` (0 to 1), ``line``, ``updated`` and ``ended``.
    """

    TONES = {"queued": "plain", "running": "warm", "finished": "good", "failed": "bad"}

    def has_add_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:  # noqa: ARG002
        """Allow whoever may add such rows to start work."""
        return request.user.has_perm(f"{self.opts.app_label}.add_{self.opts.model_name}")

    def save_model(self, *args: Any) -> None:
        """Do nothing: whoever started the work has stored it."""

    def save_related(self, *args: Any) -> None:
        """Do nothing: such a row has no rows of its own."""

    def response_post_save_add(self, request: HttpRequest, obj: Row) -> HttpResponseRedirect:  # noqa: ARG002
        """Go on to the page that shows the progress."""
        return HttpResponseRedirect(reverse(f"admin:{_name(obj)}_change", args=[obj.pk]))

    def get_urls(self) -> list[URLPattern]:
        """Add the address that tells how far a piece of work has come."""
        view = self.admin_site.admin_view(self.progress_view)
        return [path("<int:pk>/progress/", view, name=f"{_name(self.model)}_progress"), *super().get_urls()]

    def progress_view(self, request: HttpRequest, pk: int) -> JsonResponse:
        """Tell how far a piece of work has come."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        row: Any = get_object_or_404(self.model, pk=pk)
        news = timesince(row.updated)
        return JsonResponse({"state": row.state, "done": row.done, "line": row.line, "news": news, "ended": row.ended})

    @admin.display(description="run", ordering="pk")
    def name(self, row: Row) -> str:
        """Return its name."""
        return str(row)

    @admin.display(description="state", ordering="state")
    def standing(self, row: Any) -> SafeString:
        """Return whether it waits, works or has ended."""
        return chip(row.state, self.TONES[row.state])

    @admin.display(description="progress")
    def advance(self, row: Row) -> SafeString | str:
        """Show how far it has come."""
        return progress(row)


def progress(row: models.Model | None) -> SafeString | str:
    """Return the progress of a piece of work, which follows it by itself where scripts are allowed."""
    if row is None:
        return "–"
    address = reverse(f"admin:{_name(row)}_progress", args=[row.pk])
    return render_to_string("administration/progress.html", {"run": row, "address": address})


def once(cell: Callable[[Any, Row], SafeString | str]) -> Callable[[Any, Row], SafeString | str]:
    """Have a cell that takes long made once a row: the theme asks for it again and again."""

    @wraps(cell)
    def remembered(admin: Any, row: Row) -> SafeString | str:
        made: dict[str, SafeString | str] = vars(row).setdefault("made_cells", {})
        if cell.__name__ not in made:
            made[cell.__name__] = cell(admin, row)
        return made[cell.__name__]

    return remembered


def chip(text: str, tone: str = "plain") -> SafeString:
    """Return a short word set off from the text. The stylesheet knows the tones plain, ink, good, warm and bad."""
    return format_html('<span class="chip chip-{}">{}</span>', tone, text)


def link(row: models.Model, text: object) -> SafeString:
    """Return a link to the page of a row."""
    address = reverse(f"admin:{_name(row)}_change", args=[row.pk])
    return format_html('<a class="row-link" href="{}">{}</a>', address, text)


def _name(row: models.Model | type[models.Model]) -> str:
    """Return the name that the addresses of rows of this kind begin with."""
    meta = row._meta  # noqa: SLF001 - Django documents it.
    return f"{meta.app_label}_{meta.model_name}"
