"""Ensembles in the administration: their members and weights, tried before they are saved."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import IntegerField, OuterRef, Prefetch, QuerySet, Subquery, Value
from django.forms.widgets import Script
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.template.loader import render_to_string
from django.urls import URLPattern, path, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from drcaptcha.administration.base import Deletable, LogInline, TabularInline, link, once, progress
from drcaptcha.errors import BadRequest, DrCaptchaError
from drcaptcha.learning import deleting, previewing, registry, tasks
from drcaptcha.learning.admin import cells
from drcaptcha.learning.admin.cells import share
from drcaptcha.learning.models import Ensemble, Evaluation, Membership, Network


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


class MembershipForm(forms.ModelForm[Membership]):
    """A member. Its weight is shown in four digits; one that is left alone stays as exact as it is."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "weight" in self.initial:
            self.initial["weight"] = round(self.initial["weight"], 4)


class NetworkChoice(forms.ModelChoiceField[Network]):
    """A choice of network that says how good each is."""

    def label_from_instance(self, network: Network) -> str:
        """Return the network with its accuracy and the size of its alphabet."""
        return f"{network} · {share(network.accuracy)} · {len(network.classes)} classes"


class MembershipInline(TabularInline[Membership, Ensemble]):
    """The members of an ensemble, to be edited with it."""

    model = Membership
    form = MembershipForm
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
    fields = ("created", "accuracy_share", "calibration", "test_glyphs", "weighed", "time")
    readonly_fields = fields
    ordering = ("-created", "-pk")
    per_page = 20
    show_change_link = True

    def get_queryset(self, request: HttpRequest) -> QuerySet[Evaluation]:
        """Leave out what a list does not show."""
        return super().get_queryset(request).defer("confusion", "said", "right")

    @admin.display(description="accuracy")
    def accuracy_share(self, evaluation: Evaluation) -> str:
        """Return the accuracy in percent."""
        return share(evaluation.accuracy)

    @admin.display(description="ECE")
    def calibration(self, evaluation: Evaluation) -> str:
        """Return the calibration error in percent."""
        return share(evaluation.ece)

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
        """Return the weights that were judged, and how they were pooled."""
        weights = ", ".join(f"network {key} × {weight:.3f}" for key, weight in evaluation.weights.items())
        return f"{weights}; {evaluation.pooling}"


@admin.register(Ensemble)
class EnsembleAdmin(Deletable[Ensemble]):
    """Networks that decide together. To save one is to normalise its weights and to judge it anew."""

    until_there_is_one = "Networks that are trained together become an ensemble."
    list_display = ("name", "accuracy_share", "serving", "members", "created")
    search_fields = ("name",)
    fieldsets = (
        (None, {"fields": (("name", "serving"), "work")}),
        ("How they decide", {"fields": (("pooling", "correction"), "preview")}),
        ("Judged", {"classes": ("judged",), "fields": ("judgement", "comparison", "classes_judged", "pictures")}),
    )
    add_fieldsets = ((None, {"fields": ("name",)}), fieldsets[1])
    readonly_fields = ("serving", "work", "preview", "judgement", "comparison", "classes_judged", "pictures")
    inlines = (MembershipInline, EvaluationInline)
    actions = ("evaluate", "optimise", "score", "compare")

    class Media:
        js = (
            Script("administration/progress.js", type="module"),
            Script("administration/weights.js", type="module"),
        )

    def get_fieldsets(self, request: HttpRequest, obj: Ensemble | None = None) -> Any:
        """Leave out what a new one does not have yet."""
        return super().get_fieldsets(request, obj) if obj else self.add_fieldsets

    def get_inlines(self, request: HttpRequest, obj: Ensemble | None) -> Any:  # noqa: ARG002
        """Leave out the evaluations of a new one, which has none."""
        return self.inlines if obj else self.inlines[:1]

    def get_urls(self) -> list[URLPattern]:
        """Add the address that tells what weights would be worth."""
        view = self.admin_site.admin_view(self.preview_view)
        return [path("preview/", view, name="learning_ensemble_preview"), *super().get_urls()]

    def preview_view(self, request: HttpRequest) -> JsonResponse:
        """Tell what the members of a form would be worth on the validation glyphs; nothing is stored."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        try:
            asked = json.loads(request.body)
            members = [(int(network), float(weight)) for network, weight in asked["members"]]
            if asked.get("best"):
                found = previewing.best([network for network, _ in members])
            else:
                found = previewing.preview(members, asked["pooling"], float(asked["correction"]))
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            return JsonResponse({"error": BadRequest.message}, status=BadRequest.status)
        except DrCaptchaError as fault:
            return JsonResponse({"error": fault.message}, status=fault.status)
        return JsonResponse(asdict(found))

    def get_queryset(self, request: HttpRequest) -> QuerySet[Ensemble]:
        """Read all evaluations with each ensemble, and which serves; sorted by accuracy, that of the latest counts."""
        champion = registry.champion()
        latest = Evaluation.objects.filter(ensemble=OuterRef("pk")).order_by("-created", "-pk")
        accuracy = Subquery(latest.values("accuracy")[:1])
        evaluations = Evaluation.objects.defer("confusion", "said", "right")
        return (
            super()
            .get_queryset(request)
            .annotate(accuracy=accuracy, champion=Value((champion and champion.ensemble_id) or 0, IntegerField()))
            .prefetch_related("memberships__network", Prefetch("evaluations", evaluations))
        )

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:  # noqa: FBT001
        """Store the members, normalise their weights, and have the ensemble judged in the background."""
        super().save_related(request, form, formsets, change)
        if any(formset.has_changed() for formset in formsets) or {"pooling", "correction"} & set(form.changed_data):
            # Read anew: the form's row still remembers its members as they were.
            ensemble = Ensemble.objects.get(pk=form.instance.pk)
            ensemble.normalize()
            self._evaluate(request, ensemble)

    def check_deletion(self, row: Ensemble) -> None:
        """Refuse where it serves."""
        deleting.check(row)

    def going(self, row: Ensemble) -> list[str]:
        """Return what goes with an ensemble."""
        judged, opinions = row.evaluations.count(), row.priors.count()
        parts = (
            (judged, f"its evaluations ({judged:,}), with their pictures"),
            (opinions, f"its opinions of glyphs ({opinions:,}); labels that rest on them are weighed anew"),
        )
        return [text for count, text in parts if count]

    def staying(self, row: Ensemble) -> str:  # noqa: ARG002
        """Return what stays."""
        return "Its networks stay, and so does its line in the history of what served."

    @admin.action(description="Evaluate again", permissions=["change"])
    def evaluate(self, request: HttpRequest, queryset: QuerySet[Ensemble]) -> None:
        """Have the ensembles that were ticked judged in the background."""
        for ensemble in queryset:
            self._evaluate(request, ensemble)

    @admin.action(description="Find the best weights", permissions=["change"])
    def optimise(self, request: HttpRequest, queryset: QuerySet[Ensemble]) -> None:
        """Have the ensembles that were ticked weighed anew in the background."""
        for ensemble in queryset:
            run = tasks.queue_optimisation(ensemble)
            self.message_user(request, format_html("{} is being weighed: {}.", ensemble, link(run, run)), messages.INFO)

    @admin.action(description="Score the glyphs without a label", permissions=["change"])
    def score(self, request: HttpRequest, queryset: QuerySet[Ensemble]) -> None:
        """Have the ensemble that serves score, in the background, the glyphs that it has not scored yet."""
        holder = registry.promotions().filter(evaluation__ensemble__in=queryset).first()
        if holder is None or holder.evaluation != registry.champion():
            raise BadRequest("Only the ensemble that serves scores glyphs. Tick that one.")
        run = tasks.queue_opinions(holder)
        self.message_user(request, format_html("{} scores the glyphs: {}.", holder.name, link(run, run)), messages.INFO)

    @admin.action(description="Compare two", permissions=["view"])
    def compare(self, request: HttpRequest, queryset: QuerySet[Ensemble]) -> HttpResponse:  # noqa: ARG002
        """Lead to the comparison of the two ensembles that were ticked."""
        judged = [ensemble.evaluation for ensemble in queryset.order_by("pk")]
        if len(judged) != 2 or None in judged:
            raise BadRequest("Tick two ensembles that were evaluated, then compare them.")
        keys = {name: row.pk for name, row in zip(("one", "other"), judged, strict=True) if row}
        return HttpResponseRedirect(reverse("admin:learning_evaluation_compare", query=keys))

    def _evaluate(self, request: HttpRequest, ensemble: Ensemble) -> None:
        run = tasks.queue_evaluation(ensemble)
        self.message_user(request, format_html("{} is being evaluated: {}.", ensemble, link(run, run)), messages.INFO)

    @admin.display(description="accuracy", ordering="accuracy")
    def accuracy_share(self, ensemble: Ensemble) -> str:
        """Return what the latest evaluation of it as it is now found."""
        judged = ensemble.evaluation
        return share(judged.accuracy if judged else None)

    @admin.display(description="serves")
    def serving(self, ensemble: Ensemble) -> SafeString | str:
        """Tell whether it is the champion; if it is not, lead to where it can be made one."""
        judged = ensemble.evaluation if ensemble.pk else None
        champion = registry.champion() if ensemble.pk and getattr(ensemble, "champion", 0) == ensemble.pk else None
        if champion and champion == judged:
            return cells.serves(champion)
        before = format_html("{} as it was before. ", cells.serves(champion)) if champion else ""
        if judged is None:
            return before or "not judged yet"
        address = reverse("admin:learning_evaluation_promote", args=[judged.pk])
        return format_html('{}<a class="row-link" href="{}">Let it serve</a>', before, address)

    @admin.display(description="members")
    def members(self, ensemble: Ensemble) -> str:
        """Name the members with their weights."""
        return ", ".join(str(member) for member in ensemble.memberships.all())

    @admin.display(description="latest run")
    def work(self, ensemble: Ensemble) -> SafeString | str:
        """Show how far the latest evaluation or training has come."""
        return progress(ensemble.runs.order_by("-pk").first() if ensemble.pk else None)

    @admin.display(description="")
    def preview(self, ensemble: Ensemble) -> SafeString:  # noqa: ARG002
        """Show what the weights of the form would be worth, where scripts are allowed."""
        return render_to_string("administration/preview.html", {"address": reverse("admin:learning_ensemble_preview")})

    @admin.display(description="")
    @once
    def judgement(self, ensemble: Ensemble) -> SafeString | str:
        """Show the figures of the latest evaluation."""
        return cells.figures(ensemble.evaluation if ensemble.pk else None)

    @admin.display(description="compare with")
    @once
    def comparison(self, ensemble: Ensemble) -> SafeString | str:
        """Lead to the comparison with the latest others that were judged on the same glyphs."""
        judged = ensemble.evaluation if ensemble.pk else None
        return "–" if judged is None else cells.rivals(judged)

    @admin.display(description="worst classes")
    @once
    def classes_judged(self, ensemble: Ensemble) -> SafeString | str:
        """List the classes that it reads the worst."""
        network = ensemble.networks.first() if ensemble.pk else None
        return cells.classes(ensemble.evaluation, network.classes) if network else "–"

    @admin.display(description="")
    @once
    def pictures(self, ensemble: Ensemble) -> SafeString | str:
        """Show the pictures of the latest evaluation."""
        return cells.pictures(ensemble.evaluation if ensemble.pk else None)
