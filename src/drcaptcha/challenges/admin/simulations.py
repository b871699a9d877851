"""Simulations: what a crowd or a threshold would do, tried on a copy before anything is changed."""

from collections.abc import Iterator
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from unfold.widgets import UnfoldAdminDecimalFieldWidget, UnfoldAdminIntegerFieldWidget, UnfoldAdminSelectWidget

from drcaptcha.administration.base import link, once
from drcaptcha.administration.charts import Line, line
from drcaptcha.challenges import tasks
from drcaptcha.challenges.models import Simulation
from drcaptcha.glyphs.admin import picture
from drcaptcha.glyphs.models import Glyph
from drcaptcha.labelling.weighing import OURS
from drcaptcha.learning.admin.work import WatchedWork
from handwriting.consensus.rules import RULES
from handwriting.crowds import AMBIGUOUS, CROWDS

NOTES = {
    "ambiguous": f"{AMBIGUOUS:.0%} of the glyphs can be read as either of two characters",
    "onetime": "each visitor comes once",
}
"""What is told of some crowds besides who is in them."""

ERRORS = 24
"""So many wrong labels are shown."""


def crowds() -> list[tuple[str, str]]:
    """Return the crowds with who is in them."""
    rows = []
    for name, kinds in CROWDS.items():
        parts = [f"{share:.0%} {kind}s" for kind, share in kinds.items()] or ["everybody tries"]
        rows.append((name, f"{name}: {', '.join([*parts, *([NOTES[name]] if name in NOTES else [])])}"))
    return rows


def rules() -> list[tuple[str, str]]:
    """Return the rules with what each of them does."""
    published = [(name, f"{name}: {(rule.__doc__ or '').strip().splitlines()[0]}") for name, rule in RULES.items()]
    return [(OURS, f"{OURS}: the rule of this installation"), *published]


class SimulationForm(forms.ModelForm[Simulation]):
    """Whom to simulate, and by which thresholds."""

    crowd = forms.ChoiceField(
        choices=crowds,
        initial="mixed40",
        widget=UnfoldAdminSelectWidget,
        help_text="The visitors who come. All others of a crowd try, some with more care than others.",
    )
    rule = forms.ChoiceField(
        choices=rules,
        initial=OURS,
        widget=UnfoldAdminSelectWidget,
        help_text="How votes become labels. The published rules are for comparison; they know no thresholds.",
    )
    probes = forms.IntegerField(
        label="Glyphs",
        min_value=1,
        max_value=100_000,
        initial=5_000,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="How many are asked about; their truth is known. The worker does nothing else meanwhile: "
        "a minute for 5,000 or so.",
    )
    accept = forms.FloatField(
        label="Posterior to reach",
        min_value=0.5,
        max_value=0.99999,
        initial=lambda: settings.DRCAPTCHA_ACCEPT,
        widget=UnfoldAdminDecimalFieldWidget({"step": "any"}),
        help_text="From it on a label is accepted. It begins as this installation has it (DRCAPTCHA_ACCEPT).",
    )
    agreement = forms.IntegerField(
        label="Sources to agree",
        min_value=1,
        max_value=20,
        initial=lambda: settings.DRCAPTCHA_AGREEMENT,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="So many have to type it. It begins as this installation has it (DRCAPTCHA_AGREEMENT).",
    )
    seed = forms.IntegerField(
        min_value=0,
        max_value=2**31 - 1,
        initial=0,
        widget=UnfoldAdminIntegerFieldWidget,
        help_text="The same seed gives the same crowd in front of the same glyphs.",
    )

    class Meta:
        model = Simulation
        fields = ("crowd", "rule", "probes", "accept", "agreement", "seed")


@admin.register(Simulation)
class SimulationAdmin(WatchedWork[Simulation]):
    """Simulations on a copy: nothing here changes by them. To add one is to start it."""

    until_there_is_one = "Simulate visitors to see what another threshold would do."
    list_display = (
        "name",
        "standing",
        "crowd",
        "asked",
        "thresholds",
        "accuracy",
        "votes_per_label",
        "set_aside",
        "created",
    )
    list_filter = ("crowd", "rule", "state")
    sortable_by = ()
    fieldsets = (
        (None, {"fields": ("advance", ("name", "standing"), ("created", "updated"))}),
        ("Tried", {"fields": (("crowd", "rule"), ("asked", "thresholds", "seed"), "again")}),
        ("Outcome", {"fields": ("came_of_it",)}),
    )
    add_fieldsets = (("Simulate visitors", {"fields": ("crowd", "rule", ("probes", "seed"), ("accept", "agreement"))}),)

    def add_view(
        self, request: HttpRequest, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Ask what to simulate."""
        plain = {"title": "Simulate visitors", "show_save_and_add_another": False, "show_save_and_continue": False}
        return super().add_view(request, form_url, plain | (extra_context or {}))

    def get_form(
        self,
        request: HttpRequest,
        obj: Simulation | None = None,
        change: bool = False,  # noqa: FBT001, FBT002
        **kwargs: Any,
    ) -> Any:
        """Ask what to simulate where a simulation is added."""
        return super().get_form(request, obj, change, **kwargs if change else {**kwargs, "form": SimulationForm})

    def save_form(self, request: HttpRequest, form: Any, change: bool) -> Simulation:  # noqa: FBT001
        """Start the simulation."""
        return tasks.queue_simulation(super().save_form(request, form, change))

    @admin.display(description="simulation", ordering="pk")
    def name(self, row: Simulation) -> str:
        """Return its name."""
        return str(row)

    @admin.display(description="glyphs")
    def asked(self, simulation: Simulation) -> str:
        """Return how many glyphs are asked about."""
        return f"{simulation.probes:,}"

    @admin.display(description="accepts from")
    def thresholds(self, simulation: Simulation) -> str:
        """Return the thresholds that it tries, or the published rule, which has none."""
        if simulation.rule != OURS:
            return f"by {simulation.rule}"
        sources = "source" if simulation.agreement == 1 else "sources"
        return f"{100 * simulation.accept:g}%, {simulation.agreement} {sources}"

    @admin.display(description="right")
    def accuracy(self, simulation: Simulation) -> str:
        """Return how many of its labels were right."""
        return f"{simulation.outcome['accuracy']:.2%}" if simulation.outcome else "–"

    @admin.display(description="votes a label")
    def votes_per_label(self, simulation: Simulation) -> str:
        """Return how many votes a label took."""
        return f"{simulation.outcome['votes_per_label']:.2f}" if simulation.outcome else "–"

    @admin.display(description="set aside")
    def set_aside(self, simulation: Simulation) -> str:
        """Return how many glyphs were set aside as disputed or unreadable."""
        outcome = simulation.outcome
        return f"{outcome['disputed'] + outcome['unreadable']:,}" if outcome else "–"

    @admin.display(description="")
    def again(self, simulation: Simulation) -> SafeString:
        """Lead to the form, filled in as it was for this one."""
        asked = {name: getattr(simulation, name) for name in SimulationForm.Meta.fields}
        address = reverse("admin:challenges_simulation_add", query=asked)
        return format_html('<a class="row-link" href="{}">Try it with other figures</a>', address)

    @admin.display(description="")
    @once
    def came_of_it(self, simulation: Simulation) -> SafeString | str:
        """Show the figures, the kinds of visitors and how it went."""
        outcome = simulation.outcome
        if not outcome:
            return "Nothing yet."
        shown = {
            "outcome": outcome,
            "right": f"{outcome['accuracy']:.2%}",
            "folded": f"{outcome['folded_accuracy']:.2%}",
            "gap": f"{100 * outcome['calibration_gap']:+.2f}" if simulation.rule == OURS else "–",
            "kinds": [
                {"name": kind, "passed": share, "wrong": outcome["poison_rate"].get(kind)}
                for kind, share in outcome["pass_rate"].items()
            ],
            "lines": [drawn for drawn in _course(outcome) if drawn],
            "errors": list(_errors(outcome)),
        }
        return render_to_string("administration/outcome.html", shown)


def _errors(outcome: dict[str, Any]) -> Iterator[dict[str, object]]:
    """Yield the first glyphs that got a wrong label; the copy's glyphs have the numbers of ours."""
    errors = outcome.get("errors", [])[:ERRORS]
    glyphs = Glyph.objects.in_bulk([key for key, _, _ in errors])
    for key, truth, label in errors:
        if key in glyphs:
            yield {"picture": link(glyphs[key], picture(glyphs[key], side=56)), "truth": truth, "label": label}


def _course(outcome: dict[str, Any]) -> list[Line | None]:
    """Draw how it went: the share of right labels, and of glyphs that have one."""
    rows = outcome["course"]
    right = [(row["votes"], row["accuracy"]) for row in rows if row["accepted"]]
    accepted = [(row["votes"], row["accepted"] / outcome["probes"]) for row in rows]
    return [
        line("Right, of the labels accepted", right, unit="votes", whole=False),
        line("Accepted, of all glyphs", accepted, unit="votes", whole=True),
    ]
