"""Evaluations in the administration: one in full, two side by side, and who serves."""

from typing import Any

import numpy as np
from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import IntegerField, QuerySet, Value
from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404, render
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminTextInputWidget

from drcaptcha.administration.base import Log, link, once
from drcaptcha.errors import DrCaptchaError
from drcaptcha.glyphs.admin import picture
from drcaptcha.glyphs.models import Glyph, Split
from drcaptcha.learning import examples, promoting, registry, tasks
from drcaptcha.learning.admin import cells
from drcaptcha.learning.models import Evaluation, Network, Promotion
from handwriting import metrics

LONGEST = 18
"""Digits of a key at the most."""

DIFFERENCES = 36
"""So many of the glyphs that one had right and the other wrong are shown of either kind."""

CLASSES = 10
"""So many of the classes that differ the most are listed."""


class PromotionForm(forms.Form):
    """Why an ensemble is to serve."""

    reason = forms.CharField(
        max_length=200, widget=UnfoldAdminTextInputWidget, help_text="Kept with the promotion, beside your name."
    )


@admin.register(Evaluation)
class EvaluationAdmin(Log[Evaluation]):
    """What an ensemble or a network was worth at one time. They are reached from there."""

    until_there_is_one = "Each network and each ensemble is judged when it has been trained."
    list_display = ("name", "judged", "accuracy_share", "calibration", "test_glyphs", "created")
    list_filter = ("pooling",)
    fieldsets = (
        (None, {"fields": (("judged", "serving", "created"), "figures", "comparison", "lineage")}),
        ("Classes", {"fields": ("classes",)}),
        ("Pictures", {"fields": ("pictures",)}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Evaluation]:
        """Read each with what it is of."""
        return super().get_queryset(request).select_related("ensemble", "network").defer("said", "right")

    def get_urls(self) -> list[URLPattern]:
        """Add the addresses of pictures, of comparisons and of the question whether one is to serve."""
        wrap = self.admin_site.admin_view
        return [
            path("<int:pk>/files/<str:name>/", wrap(self.file_view, cacheable=True), name="learning_evaluation_file"),
            path("<int:pk>/promote/", wrap(self.promote_view), name="learning_evaluation_promote"),
            path("compare/", wrap(self.compare_view), name="learning_evaluation_compare"),
            *super().get_urls(),
        ]

    def file_view(self, request: HttpRequest, pk: int, name: str) -> FileResponse:
        """Serve a picture of an evaluation to whoever may see evaluations."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        if name not in Evaluation.PICTURES:
            raise Http404
        return cells.serve(getattr(get_object_or_404(Evaluation, pk=pk), name), f"{name}-{pk}")

    def compare_view(self, request: HttpRequest) -> HttpResponse:
        """Show two evaluations side by side."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        sides = [get_object_or_404(Evaluation, pk=_number(request.GET.get(name))) for name in ("one", "other")]
        shown: dict[str, Any] = {"title": "Two ensembles side by side", "opts": self.opts, "sides": sides}
        shown["names"] = [link(side, side.subject) for side in sides]
        rows = [cells.rows_of(side) for side in sides]
        values = [{name: value for name, value, _ in side} for side in rows]
        shown["rows"] = [(name, *(side.get(name, "–") for side in values)) for name, _, _ in max(rows, key=len)]
        try:
            found = promoting.compare(*sides)
            shown |= {"found": found, **_differences(found)}
        except DrCaptchaError as fault:
            shown["fault"] = fault.message
        shown["pictures"] = [{"name": side.subject, "shown": cells.pictures(side)} for side in sides]
        return render(request, "administration/compare.html", {**self.admin_site.each_context(request), **shown})

    def promote_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Ask whether an ensemble is to serve as it was judged, and let it."""
        if not request.user.has_perm("learning.add_promotion"):
            raise PermissionDenied
        judged = get_object_or_404(Evaluation.objects.exclude(ensemble=None), pk=pk)
        form = PromotionForm(request.POST or None, initial={"reason": request.GET.get("reason", "")})
        champion = registry.champion()
        if request.method == "POST" and form.is_valid():
            return self._promote(request, judged, form.cleaned_data["reason"])
        shown = {"title": f"Let {judged.ensemble} serve?", "opts": self.opts, "judged": judged, "form": form}
        shown |= {"champion": champion, "comparison": _compared(judged, champion)}
        return render(request, "administration/promote.html", {**self.admin_site.each_context(request), **shown})

    def _promote(self, request: HttpRequest, judged: Evaluation, reason: str) -> HttpResponse:
        try:
            by = request.user.get_username()
            promotion = promoting.promote(judged, reason=reason, by=by, now=timezone.now())
        except DrCaptchaError as fault:
            self.message_user(request, fault.message, messages.ERROR)
        else:
            run = tasks.queue_opinions(promotion)
            self.message_user(
                request, format_html("{} serves. It scores the glyphs: {}.", promotion.name, link(run, run))
            )
        return HttpResponseRedirect(reverse("admin:learning_promotion_changelist"))

    @admin.display(description="evaluation", ordering="pk")
    def name(self, evaluation: Evaluation) -> str:
        """Return the number by which predictions name it."""
        return f"#{evaluation.pk}"

    @admin.display(description="of")
    def judged(self, evaluation: Evaluation) -> SafeString:
        """Link to what was judged."""
        row = evaluation.subject
        return link(row, row) if row else format_html("")

    @admin.display(description="serves")
    def serving(self, evaluation: Evaluation) -> SafeString | str:
        """Tell whether it serves, or lead to where it can be made to."""
        if evaluation == registry.champion():
            return cells.serves(evaluation)
        if evaluation.ensemble is None:
            return "–"
        address = reverse("admin:learning_evaluation_promote", args=[evaluation.pk])
        return format_html('<a class="row-link" href="{}">Let it serve</a>', address)

    @admin.display(description="accuracy", ordering="accuracy")
    def accuracy_share(self, evaluation: Evaluation) -> str:
        """Return the accuracy in percent."""
        return cells.share(evaluation.accuracy)

    @admin.display(description="ECE", ordering="ece")
    def calibration(self, evaluation: Evaluation) -> str:
        """Return the calibration error in percent."""
        return cells.share(evaluation.ece)

    @admin.display(description="tested on")
    def test_glyphs(self, evaluation: Evaluation) -> str:
        """Return how many glyphs it was judged by."""
        return f"{evaluation.test_size:,}"

    @admin.display(description="")
    @once
    def figures(self, evaluation: Evaluation) -> SafeString | str:
        """Show all figures."""
        return cells.figures(evaluation)

    @admin.display(description="compare with")
    @once
    def comparison(self, evaluation: Evaluation) -> SafeString | str:
        """Lead to comparisons with others."""
        return cells.rivals(evaluation)

    @admin.display(description="networks, and what they learned from")
    @once
    def lineage(self, evaluation: Evaluation) -> SafeString | str:
        """Lead to the networks, with their weights and label snapshots."""
        networks = Network.objects.in_bulk(int(key) for key in evaluation.weights)
        rows = (
            (
                link(networks[int(key)], networks[int(key)]),
                weight,
                evaluation.snapshots.get(key, "")[:12] or "not recorded",
            )
            for key, weight in evaluation.weights.items()
            if int(key) in networks
        )
        written = ((name, f"{weight:.3f}", digest) for name, weight, digest in rows)
        return format_html_join("", "<p>{} × {}, label snapshot <code>{}</code></p>", written)

    @admin.display(description="")
    @once
    def classes(self, evaluation: Evaluation) -> SafeString | str:
        """List the classes that it reads the worst."""
        networks = Network.objects.filter(pk__in=[int(key) for key in evaluation.weights])
        network = networks.first()
        return cells.classes(evaluation, network.classes) if network else "–"

    @admin.display(description="")
    @once
    def pictures(self, evaluation: Evaluation) -> SafeString | str:
        """Show its pictures."""
        return cells.pictures(evaluation)


@admin.register(Promotion)
class PromotionAdmin(Log[Promotion]):
    """Which ensemble served when, and why."""

    until_there_is_one = "The first ensemble that is judged comes to serve."
    list_display = ("ensemble", "standing", "reason", "who", "chance", "before", "created")
    list_display_links = None
    sortable_by = ()

    def get_queryset(self, request: HttpRequest) -> QuerySet[Promotion]:
        """Read each with its ensemble, and with the promotion and the evaluation by which one serves."""
        holder = registry.promotions().first()
        number = IntegerField()
        return (
            super()
            .get_queryset(request)
            .select_related("evaluation__ensemble", "previous")
            .annotate(
                holder=Value(holder.pk if holder else 0, number),
                held=Value((holder.evaluation_id if holder else None) or 0, number),
            )
        )

    @admin.display(description="ensemble")
    def ensemble(self, promotion: Promotion) -> SafeString | str:
        """Link to the ensemble as it was judged, if it is still there."""
        return link(promotion.evaluation, promotion.name) if promotion.evaluation else f"{promotion.name} (deleted)"

    @admin.display(description="now")
    def standing(self, promotion: Promotion) -> SafeString | str:
        """Tell whether it serves, or offer to go back to it."""
        judged = promotion.evaluation
        if judged is None:
            return "–"
        if getattr(promotion, "holder", 0) == promotion.pk:
            return cells.serves(judged)
        if getattr(promotion, "held", 0) == judged.pk:
            return "–"
        query = {"reason": "rolled back"}
        address = reverse("admin:learning_evaluation_promote", args=[judged.pk], query=query)
        return format_html('<a class="row-link" href="{}">Let it serve again</a>', address)

    @admin.display(description="by")
    def who(self, promotion: Promotion) -> str:
        """Return who decided."""
        return promotion.by or "its figures"

    @admin.display(description="p")
    def chance(self, promotion: Promotion) -> str:
        """Return how likely chance alone explains that it won."""
        return "–" if promotion.p_value is None else f"{promotion.p_value:.2g}"

    @admin.display(description="instead of")
    def before(self, promotion: Promotion) -> str:
        """Name the ensemble that served before."""
        return promotion.previous.name if promotion.previous else "–"


def _number(text: str | None) -> int:
    if not text or not text.isdecimal() or len(text) > LONGEST:
        raise Http404
    return int(text)


def _compared(judged: Evaluation, champion: Evaluation | None) -> dict[str, Any]:
    """Return the comparison with the champion, or why there is none."""
    if champion is None:
        return {"note": "None serves so far."}
    if champion == judged:
        return {"note": "It serves already."}
    address = reverse("admin:learning_evaluation_compare", query={"one": judged.pk, "other": champion.pk})
    try:
        return {"found": promoting.compare(judged, Evaluation.objects.get(pk=champion.pk)), "address": address}
    except DrCaptchaError as fault:
        return {"note": fault.message}


def _differences(found: promoting.Comparison) -> dict[str, Any]:
    """Return the classes that differ the most, and glyphs that only one had right, if the test glyphs are the same."""
    one, other = found.one, found.other
    network = Network.objects.get(pk=next(int(key) for key in one.weights))
    recalls = [metrics.recall(np.array(side.confusion, np.int64)) for side in (one, other)]
    gaps = recalls[0] - recalls[1]
    order = [place for place in np.argsort(-np.abs(gaps), kind="stable")[:CLASSES] if gaps[place]]
    names = network.classes
    listed = [
        (names[place], *(float(recall[place]) for recall in recalls), float(100 * gaps[place])) for place in order
    ]
    return {"classes": listed, "differing": _differing(found, names)}


def _differing(found: promoting.Comparison, names: str) -> list[dict[str, Any]]:
    alphabet = examples.alphabet_of(names)
    known = examples.labelled(alphabet, Split.TEST)
    if known.fingerprint(alphabet) != found.one.test_hash:
        return []  # The test glyphs of today are others, so nobody knows which they were.
    keys = known.keys[known.by_digest()]
    said = [np.frombuffer(bytes(side.said), np.uint8) for side in (found.one, found.other)]
    right = [promoting.right(side) for side in (found.one, found.other)]
    shown = []
    for title, wanted in (
        (f"Only {found.one.subject} is right", right[0] & ~right[1]),
        (f"Only {found.other.subject} is right", right[1] & ~right[0]),
    ):
        places = np.flatnonzero(wanted)[:DIFFERENCES]
        glyphs = Glyph.objects.in_bulk(keys[places].tolist())
        tiles = [
            (
                link(glyphs[key], picture(glyphs[key], side=56)),
                glyphs[key].label,
                *(names[side[place]] for side in said),
            )
            for place, key in zip(places, keys[places].tolist(), strict=True)
        ]
        shown.append({"title": title, "count": int(wanted.sum()), "tiles": tiles})
    return shown
