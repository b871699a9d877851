"""Networks, ensembles and runs in the administration."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminDecimalFieldWidget,
    UnfoldAdminIntegerFieldWidget,
    UnfoldAdminTextInputWidget,
)

from drcaptcha.administration.base import FollowsWork, Log, LogInline, Page, TabularInline, Work, link, progress
from drcaptcha.learning import tasks
from drcaptcha.learning.models import Ensemble, Evaluation, Membership, Network, Run
from handwriting.networks import NAMES

FILES = ("onnx", "architecture_picture", "loss_picture", "accuracy_picture", "confusion_picture")
"""The files of a network that administrators may fetch."""


def share(value: float | None) -> str:
    """Return an accuracy as people read it."""
    return "–" if value is None else f"{value:.2%}"


@admin.register(Network)
class NetworkAdmin(Log[Network]):
    """Trained networks, with their figures and pictures."""

    list_display = (
        "name",
        "accuracy_share",
        "epochs",
        "batch_size",
        "train_glyphs",
        "test_glyphs",
        "weights",
        "time",
        "created",
    )
    list_filter = ("architecture",)
    search_fields = ("architecture",)
    fieldsets = (
        (
            None,
            {
                "fields": (
                    ("architecture", "accuracy_share", "created"),
                    ("epochs", "batch_size", "seed"),
                    ("train_glyphs", "test_glyphs", "time"),
                    ("weights", "classes", "file"),
                    "used_in",
                )
            },
        ),
        ("Pictures", {"fields": ("pictures",)}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Network]:
        """Leave out the histories, which no page shows."""
        return super().get_queryset(request).defer("history")

    def get_urls(self) -> list[URLPattern]:
        """Add the address of a network's files."""
        view = self.admin_site.admin_view(self.file_view, cacheable=True)
        return [path("<int:pk>/files/<str:name>/", view, name="learning_network_file"), *super().get_urls()]

    def file_view(self, request: HttpRequest, pk: int, name: str) -> FileResponse:
        """Serve one file of a network to whoever may see networks; no other address serves them.

        Raises:
            Http404: the network, or its file, is not there.
        """
        if not self.has_view_permission(request):
            raise PermissionDenied
        if name not in FILES:
            raise Http404
        file = getattr(get_object_or_404(Network, pk=pk), name)
        try:
            response = FileResponse(
                file.open("rb"), as_attachment=name == "onnx", filename=f"{name}-{pk}{_suffix(file)}"
            )
        except (FileNotFoundError, ValueError):
            raise Http404(f"Network {pk} has lost its file {name}.") from None
        # Files of a network never change. The policy keeps scripts in a drawing from running here.
        response.headers["Cache-Control"] = "private, max-age=86400, immutable"
        response.headers["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    @admin.display(description="network", ordering="architecture")
    def name(self, network: Network) -> str:
        """Return its name."""
        return str(network)

    @admin.display(description="accuracy", ordering="accuracy")
    def accuracy_share(self, network: Network) -> str:
        """Return its accuracy in percent."""
        return share(network.accuracy)

    @admin.display(description="parameters", ordering="parameters")
    def weights(self, network: Network) -> str:
        """Return the number of its weights."""
        return f"{network.parameters:,}"

    @admin.display(description="trained on", ordering="train_size")
    def train_glyphs(self, network: Network) -> str:
        """Return how many glyphs it learned from."""
        return f"{network.train_size:,}"

    @admin.display(description="tested on", ordering="test_size")
    def test_glyphs(self, network: Network) -> str:
        """Return how many glyphs it was judged by."""
        return f"{network.test_size:,}"

    @admin.display(description="training", ordering="seconds")
    def time(self, network: Network) -> str:
        """Return how long its training took."""
        return f"{network.seconds:.1f} s"

    @admin.display(description="file")
    def file(self, network: Network) -> SafeString:
        """Link to the file that serves."""
        return format_html('<a class="row-link" href="{}">Download ONNX</a>', _address(network, "onnx"))

    @admin.display(description="ensembles")
    def used_in(self, network: Network) -> SafeString | str:
        """Link to the ensembles that it is in."""
        return format_html_join(", ", "{}", ((link(e, e),) for e in network.ensembles.all())) or "none"

    @admin.display(description="")
    def pictures(self, network: Network) -> SafeString:
        """Show the four pictures."""
        return format_html(
            '<div class="figures">{}</div>',
            format_html_join(
                "",
                '<figure><a href="{0}"><img src="{0}" alt="{1} of {2}" loading="lazy"></a>'
                "<figcaption>{1}</figcaption></figure>",
                (
                    (_address(network, name), name.removesuffix("_picture").capitalize(), network)
                    for name in FILES
                    if name.endswith("_picture") and getattr(network, name)
                ),
            ),
        )


class MembershipFormSet(forms.BaseInlineFormSet[Membership, Ensemble, forms.ModelForm[Membership]]):
    """The members of an ensemble, who must fit together."""

    def clean(self) -> None:
        """Refuse members that can't decide together."""
        super().clean()
        if not any(self.errors):
            Ensemble.check_members(list(self._members()))

    def _members(self) -> Iterator[tuple[Network, float]]:
        for form in self.forms:
            row = form.cleaned_data
            if row and not row.get("DELETE"):
                yield row["network"], row["weight"]


class NetworkChoice(forms.ModelChoiceField[Network]):
    """A choice of network that says how good each is."""

    def label_from_instance(self, network: Network) -> str:
        """Return the network with its accuracy and the size of its alphabet."""
        return f"{network} · {share(network.accuracy)} · {len(network.classes)} classes"


class MembershipInline(TabularInline[Membership, Ensemble]):
    """The members of an ensemble, to be edited with it."""

    model = Membership
    formset = MembershipFormSet
    fields = ("network", "weight")
    extra = 0
    min_num = 1
    verbose_name = "member"
    verbose_name_plural = "members"
    hide_title = True

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Offer the networks by name and accuracy."""
        networks = Network.objects.only("architecture", "accuracy", "classes").order_by("-accuracy")
        return super().formfield_for_foreignkey(
            db_field, request, form_class=NetworkChoice, queryset=networks, **kwargs
        )

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        """Name each field for those who can't see the column that it stands in."""
        field = super().formfield_for_dbfield(db_field, request, **kwargs)
        if field is not None:
            field.widget.attrs["aria-label"] = str(db_field.verbose_name).capitalize()
        return field


class EvaluationInline(LogInline[Evaluation, Ensemble]):
    """What an ensemble was worth, each time that it was judged."""

    model = Evaluation
    fields = ("created", "accuracy_share", "test_glyphs", "weighed", "time")
    readonly_fields = fields
    ordering = ("-created", "-pk")
    show_change_link = False

    @admin.display(description="accuracy")
    def accuracy_share(self, evaluation: Evaluation) -> str:
        """Return the accuracy in percent."""
        return share(evaluation.accuracy)

    @admin.display(description="tested on")
    def test_glyphs(self, evaluation: Evaluation) -> str:
        """Return how many glyphs it was judged by."""
        return f"{evaluation.test_size:,}"

    @admin.display(description="took")
    def time(self, evaluation: Evaluation) -> str:
        """Return how long the judging took."""
        return f"{evaluation.seconds:.1f} s"

    @admin.display(description="weights")
    def weighed(self, evaluation: Evaluation) -> str:
        """Return the weights that were judged."""
        return ", ".join(f"network {key} × {weight:.3f}" for key, weight in evaluation.weights.items())


@admin.register(Ensemble)
class EnsembleAdmin(FollowsWork, Page[Ensemble]):
    """Networks that decide together. To save one is to normalise its weights and to judge it anew."""

    list_display = ("name", "accuracy_share", "members", "created")
    search_fields = ("name",)
    fields = ("name", "accuracy_share", "work")
    readonly_fields = ("accuracy_share", "work")
    inlines = (MembershipInline, EvaluationInline)
    actions = ("evaluate",)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Ensemble]:
        """Read the latest accuracy with each ensemble."""
        latest = Evaluation.objects.filter(ensemble=OuterRef("pk")).order_by("-created", "-pk")
        accuracy = Subquery(latest.values("accuracy")[:1])
        return super().get_queryset(request).annotate(accuracy=accuracy).prefetch_related("memberships__network")

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:  # noqa: FBT001
        """Store the members, normalise their weights, and have the ensemble judged in the background."""
        super().save_related(request, form, formsets, change)
        if any(formset.has_changed() for formset in formsets):
            # Read anew: the form's row still remembers its members as they were.
            ensemble = Ensemble.objects.get(pk=form.instance.pk)
            ensemble.normalize()
            self._evaluate(request, ensemble)

    @admin.action(description="Evaluate again", permissions=["change"])
    def evaluate(self, request: HttpRequest, queryset: QuerySet[Ensemble]) -> None:
        """Have the ensembles that were ticked judged in the background."""
        for ensemble in queryset:
            self._evaluate(request, ensemble)

    def _evaluate(self, request: HttpRequest, ensemble: Ensemble) -> None:
        run = tasks.queue_evaluation(ensemble)
        self.message_user(request, format_html("{} is being evaluated: {}.", ensemble, link(run, run)), messages.INFO)

    @admin.display(description="accuracy", ordering="accuracy")
    def accuracy_share(self, ensemble: Ensemble) -> str:
        """Return what the latest evaluation found."""
        return share(getattr(ensemble, "accuracy", None))

    @admin.display(description="members")
    def members(self, ensemble: Ensemble) -> str:
        """Name the members with their weights."""
        return ", ".join(str(member) for member in ensemble.memberships.all())

    @admin.display(description="latest run")
    def work(self, ensemble: Ensemble) -> SafeString | str:
        """Show how far the latest evaluation or training has come."""
        return progress(ensemble.runs.order_by("-pk").first() if ensemble.pk else None)


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

    class Meta:
        model = Run
        fields = ()


@admin.register(Run)
class RunAdmin(Work[Run]):
    """Work in the background. To add a run is to start a training."""

    actions = ("start_again",)
    list_display = ("name", "standing", "advance", "result", "created", "updated")
    list_filter = ("kind", "state")
    list_select_related = ("ensemble",)
    fieldsets = (
        (None, {"fields": ("advance", ("name", "standing", "result"), ("created", "updated"))}),
        ("Options", {"fields": ("asked",)}),
    )
    add_fieldsets = (
        ("Train networks", {"fields": ("networks", ("epochs", "minutes"), ("batch_size", "subset"), ("seed", "name"))}),
    )

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
        return tasks.queue_training(form.cleaned_data)

    @admin.action(description="Start again what failed", permissions=["add"])
    def start_again(self, request: HttpRequest, queryset: QuerySet[Run]) -> None:
        """Queue the trainings that failed anew. They go on from their last whole epoch."""
        for run in queryset.filter(kind="training", state=Run.State.FAILED):
            again = tasks.queue_training(run.options)
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
        )
        return format_html('<dl class="options">{}</dl>', format_html_join("", "<dt>{}</dt><dd>{}</dd>", rows))


def _address(network: Network, name: str) -> str:
    return reverse("admin:learning_network_file", args=[network.pk, name])


def _suffix(file: Any) -> str:
    return Path(file.name).suffix
