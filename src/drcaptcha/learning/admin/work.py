"""What the pages of runs have in common with those of other work that a worker does."""

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils import timezone

from drcaptcha.administration.base import Row, Work
from drcaptcha.learning import tasks


class WatchedWork(Work[Row]):
    """Work of which it is told at once that its worker is gone."""

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """List the work."""
        tasks.give_up_orphans(timezone.now())
        return super().changelist_view(request, extra_context)

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """Show one piece as it is now."""
        tasks.give_up_orphans(timezone.now())
        return super().changeform_view(request, *args, **kwargs)

    def progress_view(self, request: HttpRequest, pk: int) -> JsonResponse:
        """Tell how far a piece has come."""
        tasks.give_up_orphans(timezone.now())
        return super().progress_view(request, pk)
