"""Glyphs, votes and decisions in the administration.

Glyphs are registered here and not in ``glyphs``, because their page shows votes and decisions and moves labels.
"""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from unfold.forms import ActionForm
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from drcaptcha.administration.base import FoundByNumber, Log, LogInline, Page, chip, link
from drcaptcha.errors import BadRequest
from drcaptcha.glyphs.admin import picture
from drcaptcha.glyphs.models import Glyph, State
from drcaptcha.labelling import deciding
from drcaptcha.labelling.models import Decision, Vote
from handwriting.alphabet import ALPHABETS, Alphabet

REASON_LENGTH = 200
"""The room that a decision has for its reason."""

TONES = {State.CONTROL: "good", State.ACCEPTED: "warm", State.UNKNOWN: "plain"}


def alphabet() -> Alphabet:
    """Return the alphabet of this installation."""
    return ALPHABETS[settings.DRCAPTCHA_ALPHABET]


def labels() -> list[tuple[str, str]]:
    """Return the labels that can be given, first the one that takes a label away."""
    return [("", "No label"), *((name, name) for name in alphabet().classes)]


class LabelForm(forms.ModelForm[Glyph]):
    """Gives a glyph a label by hand, or takes it away."""

    new_label = forms.ChoiceField(
        choices=labels,
        required=False,
        label="Accepted label",
        widget=UnfoldAdminSelectWidget,
        help_text="A label set by hand makes the glyph a control. “No label” takes it away and asks visitors again.",
    )
    reason = forms.CharField(
        max_length=100,
        required=False,
        widget=UnfoldAdminTextInputWidget,
        help_text="Kept with the decision, beside your name.",
    )

    class Meta:
        model = Glyph
        fields = ()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["new_label"].initial = alphabet().class_of(self.instance.label)


class LabelAction(ActionForm):  # type: ignore[misc]
    """Lets an action of the list take a label."""

    new_label = forms.ChoiceField(
        choices=lambda: [("", "Label"), *labels()[1:]],
        required=False,
        label="",
        widget=forms.Select({"aria-label": "Label to give", "class": "action-label"}),
    )


class VoteInline(LogInline[Vote, Glyph]):
    """The votes of one glyph."""

    model = Vote
    fields = ("typed", "role", "source", "captcha", "created")
    readonly_fields = fields
    ordering = ("-pk",)


class DecisionInline(LogInline[Decision, Glyph]):
    """The moves of one glyph's label."""

    model = Decision
    fields = ("before", "after", "reason", "created")
    readonly_fields = fields
    ordering = ("-pk",)


class LabelFilter(admin.SimpleListFilter):
    """Filters by label. The choices come from the alphabet, so that no million rows are read for them."""

    title = "label"
    parameter_name = "label"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]) -> list[tuple[str, str]]:  # noqa: ARG002
        """Offer every class of the alphabet."""
        return labels()[1:]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Glyph]) -> QuerySet[Glyph]:  # noqa: ARG002
        """Keep the glyphs of one label."""
        return queryset.filter(label=self.value()) if self.value() else queryset


@admin.register(Glyph)
class GlyphAdmin(FoundByNumber, Page[Glyph]):
    """Pictures of characters, what we take them for, and who said so."""

    list_display = ("small_picture", "number", "label", "truth", "standing", "split", "data_set", "typed")
    list_display_links = ("small_picture", "number")
    list_filter = ("state", "split", LabelFilter, "data_set")
    list_per_page = 100
    list_select_related = ("data_set",)
    sortable_by = ("number",)
    search_help_text = "A character finds its label, a number of two digits or more (or #7) a glyph."
    form = LabelForm
    fieldsets = (
        (None, {"fields": ("large_picture", ("standing", "truth"), ("split", "data_set", "created"))}),
        ("Label", {"fields": (("new_label", "reason"),)}),
    )
    readonly_fields = ("large_picture", "standing", "truth", "split", "data_set", "created")
    inlines = (VoteInline, DecisionInline)
    action_form = LabelAction
    actions = ("give_label", "take_label")

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        """Refuse: glyphs are imported."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002
        """Refuse: captchas and votes speak of glyphs."""
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Glyph]:
        """Read the votes of all glyphs shown at once."""
        return super().get_queryset(request).defer("digest").prefetch_related("votes")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Glyph], search_term: str
    ) -> tuple[QuerySet[Glyph], bool]:
        """Find by label or number."""
        if len(search_term.strip()) == 1:
            return queryset.filter(label=search_term.strip()), False
        return super().get_search_results(request, queryset, search_term)

    def save_model(self, request: HttpRequest, obj: Glyph, form: Any, change: bool) -> None:  # noqa: ARG002, FBT001
        """Move the label, if another was chosen: to save a page unchanged decides nothing."""
        if "new_label" in form.changed_data:
            self._set([obj], form.cleaned_data["new_label"], request.user, form.cleaned_data["reason"])

    @admin.action(description="Give this label", permissions=["change"])
    def give_label(self, request: HttpRequest, queryset: QuerySet[Glyph]) -> None:
        """Give one label to all glyphs that were ticked."""
        label = request.POST.get("new_label", "")
        if not label:
            raise BadRequest("Choose the label to give, beside the action.")
        self._set(queryset, label, request.user)
        self.message_user(request, f"{len(queryset)} glyphs have the label {label} now.")

    @admin.action(description="Take the label away", permissions=["change"])
    def take_label(self, request: HttpRequest, queryset: QuerySet[Glyph]) -> None:
        """Take the label from all glyphs that were ticked."""
        self._set(queryset, "", request.user)
        self.message_user(request, f"{len(queryset)} glyphs have no label now.")

    def _set(self, glyphs: Iterable[Glyph], label: str, user: AbstractBaseUser | AnonymousUser, why: str = "") -> None:
        reason = f"by {user.get_username()}: {why or 'set by hand'}"[:REASON_LENGTH]
        for glyph in glyphs:
            deciding.set_label(glyph, label, reason=reason, now=timezone.now())

    @admin.display(description="picture")
    def small_picture(self, glyph: Glyph) -> SafeString:
        """Return the picture for a list."""
        return picture(glyph)

    @admin.display(description="picture")
    def large_picture(self, glyph: Glyph) -> SafeString:
        """Return the picture for a page of its own."""
        return picture(glyph, side=224)

    @admin.display(description="number", ordering="pk")
    def number(self, glyph: Glyph) -> str:
        """Return the number by which the glyph is found."""
        return f"#{glyph.pk}"

    @admin.display(description="state")
    def standing(self, glyph: Glyph) -> SafeString:
        """Return how far the label is trusted."""
        return chip(glyph.state, TONES[State(glyph.state)])

    @admin.display(description="votes")
    def typed(self, glyph: Glyph) -> SafeString:
        """Return what visitors typed, the most frequent first."""
        counts = Counter(vote.typed for vote in glyph.votes.all()).most_common()
        return format_html_join(" ", '<span class="vote">{}<small>×{}</small></span>', counts)


@admin.register(Vote)
class VoteAdmin(FoundByNumber, Log[Vote]):
    """What visitors typed."""

    list_display = ("glyph_picture", "typed", "accepted", "role", "source", "captcha", "created")
    list_filter = ("role",)
    list_select_related = ("glyph", "source")
    sortable_by = ()
    numbered = "glyph"
    search_help_text = "The number of a glyph"
    fields = ("glyph_picture", "typed", "accepted", "role", "source", "captcha", "created")

    @admin.display(description="glyph")
    def glyph_picture(self, vote: Vote) -> SafeString:
        """Return the picture of the glyph that was asked about."""
        return link(vote.glyph, picture(vote.glyph))

    @admin.display(description="label now")
    def accepted(self, vote: Vote) -> str:
        """Return what the glyph is taken for today."""
        return vote.glyph.label or "–"


@admin.register(Decision)
class DecisionAdmin(FoundByNumber, Log[Decision]):
    """How labels moved, and why."""

    list_display = ("glyph_picture", "move", "reason", "created")
    list_select_related = ("glyph",)
    sortable_by = ()
    numbered = "glyph"
    search_help_text = "The number of a glyph"
    fields = ("glyph_picture", "move", "reason", "created")

    @admin.display(description="glyph")
    def glyph_picture(self, decision: Decision) -> SafeString:
        """Return the picture of the glyph that was decided on."""
        return link(decision.glyph, picture(decision.glyph))

    @admin.display(description="label")
    def move(self, decision: Decision) -> str:
        """Return the label before and after."""
        return str(decision)
