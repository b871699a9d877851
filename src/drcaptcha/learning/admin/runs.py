"""Work in the background, and the training that an administrator starts."""

from typing import Any

from django import forms
from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from drcaptcha.administration.base import link
from drcaptcha.learning import retraining, tasks
from drcaptcha.learning.admin.work import WatchedWork
from drcaptcha.learning.models import Run
from handwriting.networks import NAMES


class TrainingForm(forms.ModelForm[Run]):
    """What to train, and how."""

    networks = forms.MultipleChoiceField(
        choices=[(name, f"{name}: {line}") for name, line in NAMES.items()],
        initial=["compact", "slim"],
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="Together they become a new ensemble.",
    )
    epochs = forms.IntegerField(min_value=1, max_value=1000, initial=8, widget=UnfoldAdminIntegerFieldWidget)
    minutes = forms.FloatField(
        min_value=0.1,
        required=False,
        widget=UnfoldAdminDecimalFieldWidget,
        help_text="Train so long in all, whatever the epochs. It can't be repeated exactly.",
    )
    batch_size = forms.IntegerField(min_value=1, max_value=8192, initial=128, widget=UnfoldAdminIntegerFieldWidget)
    subset = forms.IntegerField(
        min_value=1,
        required=False,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="Train on so many glyphs, drawn at random. Empty: on all that have a label.",
    )
    seed = forms.IntegerField(
        min_value=0,
        initial=0,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="The same seed on the same glyphs trains the same networks.",
    )
    name = forms.CharField(
        max_length=100,
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text="The name of the ensemble that the networks become. Empty: one is made from their names.",
    )
    anew = forms.BooleanField(
        label="Begin anew",
        required=False,
        widget=UnfoldBooleanSwitchWidget,
        help_text="Where the same training was broken off in the last two weeks, it goes on with the labels that it "
        "began with, unless it is to begin anew with those of today.",
    )

    class Meta:
        model = Run
        fields = ()


@admin.register(Run)
class RunAdmin(WatchedWork[Run]):
    """Work in the background. To add a run is to start a training."""

    until_there_is_one = "What the worker does on networks and ensembles is followed here."
    actions = ("start_again",)
    list_display = ("name", "standing", "advance", "result", "created", "updated")
    list_filter = ("kind", "state")
    list_select_related = ("ensemble",)
    list_before_template = "administration/policy.html"
    fieldsets = (
        (None, {"fields": ("advance", ("name", "standing", "result"), ("created", "updated"))}),
        ("Options", {"fields": ("asked",)}),
    )
    add_fieldsets = (
        (
            "Train networks",
            {"fields": ("networks", ("epochs", "minutes"), ("batch_size", "subset"), ("seed", "name"), "anew")},
        ),
    )

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Tell above the list when networks are trained without being asked."""
        policy = retraining.Policy.current()
        shown = {"policy": policy, "new_labels": retraining.new_labels() if policy.labels else None}
        return super().changelist_view(request, shown | (extra_context or {}))

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Ask what to train."""
        plain = {"title": "Train networks", "show_save_and_add_another": False, "show_save_and_continue": False}
        return super().add_view(request, form_url, plain | (extra_context or {}))

    def get_form(self, request: HttpRequest, obj: Run | None = None, change: bool = False, **kwargs: Any) -> Any:  # noqa: FBT001, FBT002
        """Ask what to train where a run is added."""
        return super().get_form(request, obj, change, **kwargs if change else {**kwargs, "form": TrainingForm})

    def save_form(self, request: HttpRequest, form: Any, change: bool) -> Run:  # noqa: ARG002, FBT001
        """Start the training."""
        asked = dict(form.cleaned_data)
        anew = {"anew": True} if asked.pop("anew") else {}
        return tasks.queue_training(asked | anew)

    @admin.action(description="Start again what failed", permissions=["add"])
    def start_again(self, request: HttpRequest, queryset: QuerySet[Run]) -> None:
        """Queue what failed anew. It goes on from where it was broken off."""
        for run in queryset.filter(state=Run.State.FAILED).order_by("pk"):
            again = tasks.queue_again(run)
            self.message_user(request, format_html("{} goes on as {}.", run, link(again, again)), messages.INFO)

    @admin.display(description="ensemble")
    def result(self, run: Run) -> SafeString | str:
        """Link to the ensemble that it made or judged."""
        return link(run.ensemble, run.ensemble) if run.ensemble else "–"

    @admin.display(description="")
    def asked(self, run: Run) -> SafeString:
        """List what was asked for."""
        rows = (
            (key.replace("_", " "), ", ".join(value) if isinstance(value, list) else value)
            for key, value in run.options.items()
            if value is not None and value != ""
        )
        return format_html('<dl class="options">{}</dl>', format_html_join("", "<dt>{}</dt><dd>{}</dd>", rows))
