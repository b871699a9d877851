"""Glyphs: what they are taken for, why, and by whom; and the labels that administrators give."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from django import forms
from django.contrib import admin
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.db.models import Model, Prefetch, QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from unfold.forms import ActionForm
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldAdminTextInputWidget

from drcaptcha.administration.base import FoundByNumber, LogInline, Page, link, once
from drcaptcha.errors import BadRequest
from drcaptcha.glyphs.admin import picture
from drcaptcha.glyphs.models import Glyph, Split
from drcaptcha.labelling import deciding, reviewing
from drcaptcha.labelling.admin import cells
from drcaptcha.labelling.explaining import explain, percent
from drcaptcha.labelling.log import alphabet, current_reading, read_votes
from drcaptcha.labelling.models import Decision, Miss, Vote
from drcaptcha.labelling.reviewing import Queue

REASON_LENGTH = 200
"""The room that a decision has for its reason."""


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
        help_text="A label set by hand makes the glyph a control. “No label” takes it away and asks visitors again. "
        "Votes given until then do not count any more.",
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


class VoteInline(cells.FromSource, LogInline[Vote, Glyph]):
    """The votes of one glyph, and which of them count."""

    model = Vote
    fields = ("typed", "answer", "role", "known", "voter", "said", "counts", "captcha", "created")
    readonly_fields = fields
    ordering = ("-pk",)
    per_page = 50

    def get_queryset(self, request: HttpRequest) -> QuerySet[Vote]:
        """Read each vote with its source."""
        return super().get_queryset(request).select_related("source")

    def get_formset(self, request: HttpRequest, obj: Glyph | None = None, **kwargs: Any) -> Any:
        """Find out which votes count. Each page has an inline of its own, so it can be kept here."""
        self.counting = set(read_votes([obj.pk], current_reading()[1]).key.tolist()) if obj else set()
        return super().get_formset(request, obj, **kwargs)

    @admin.display(description="counts", boolean=True)
    def counts(self, vote: Vote) -> bool:
        """Tell whether it has a part in the label: the first of its source, of a character, and not overruled."""
        return vote.pk in self.counting


class MissInline(cells.FromSource, LogInline[Miss, Glyph]):
    """Visitors who failed this control."""

    model = Miss
    verbose_name_plural = "misses as a control"
    fields = ("voter", "alone", "captcha", "created")
    readonly_fields = fields
    ordering = ("-pk",)
    per_page = 25

    def get_queryset(self, request: HttpRequest) -> QuerySet[Miss]:
        """Read each miss with its source."""
        return super().get_queryset(request).select_related("source")


class DecisionInline(cells.Moves, LogInline[Decision, Glyph]):
    """The moves of one glyph's label and state."""

    model = Decision
    fields = ("move", "from_state", "to_state", "reason", "created")
    readonly_fields = fields
    ordering = ("-pk",)
    per_page = 25


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


class ReviewFilter(admin.SimpleListFilter):
    """Filters by what waits for an administrator."""

    title = "review"
    parameter_name = "review"

    def lookups(self, request: HttpRequest, model_admin: admin.ModelAdmin[Any]) -> list[tuple[str, str]]:  # noqa: ARG002
        """Name the queues."""
        return [
            (Queue.ALL, "to review"),
            (Queue.GIVEN, "given labels that visitors fail"),
            (Queue.VOTES, "votes that don’t agree"),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Glyph]) -> QuerySet[Glyph]:  # noqa: ARG002
        """Keep the glyphs of one queue."""
        chosen = self.value()
        return queryset.filter(reviewing.waiting(Queue(chosen))) if chosen in list(Queue) else queryset


@admin.register(Glyph)
class GlyphAdmin(FoundByNumber, Page[Glyph]):
    """Pictures of characters, what we take them for, and who said so."""

    until_there_is_one = "manage.py importemnist and manage.py importfolder bring handwriting."
    list_display = (
        "small_picture",
        "number",
        "label",
        "given",
        "truth",
        "standing",
        "certainty",
        "came_with",
        "typed",
    )
    list_display_links = ("small_picture", "number")
    list_filter = (ReviewFilter, "state", "split", LabelFilter, "data_set")
    list_per_page = 100
    list_select_related = ("data_set",)
    sortable_by = ("number",)
    search_help_text = "A character finds its label, a number of two digits or more (or #7) a glyph."
    form = LabelForm
    fieldsets = (
        (None, {"fields": ("large_picture", ("standing", "given", "truth"), ("split", "data_set", "created"))}),
        ("Why", {"fields": ("why",)}),
        ("Label", {"fields": (("new_label", "reason"),)}),
    )
    readonly_fields = ("large_picture", "standing", "given", "truth", "split", "data_set", "created", "why")
    inlines = (VoteInline, DecisionInline, MissInline)
    action_form = LabelAction
    actions = ("confirm_given", "give_label", "take_label")

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        """Refuse: glyphs are imported."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:  # noqa: ARG002
        """Refuse: captchas and votes speak of glyphs."""
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Glyph]:
        """Read what was typed for all glyphs shown at once."""
        typed = Prefetch("votes", queryset=Vote.objects.only("glyph", "typed"))
        return super().get_queryset(request).defer("digest").prefetch_related(typed)

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

    @admin.action(description="The given label is right", permissions=["change"])
    def confirm_given(self, request: HttpRequest, queryset: QuerySet[Glyph]) -> None:
        """Keep the given labels of those that were ticked and that visitors keep failing."""
        ticked = list(queryset.values_list("pk", flat=True))
        kept = reviewing.confirm(ticked, reason=_reason(request.user, "the given label is right"), now=timezone.now())
        self.message_user(request, f"{kept} of {len(ticked)} glyphs keep their given label and are controls again.")

    @admin.action(description="Give this label", permissions=["change"])
    def give_label(self, request: HttpRequest, queryset: QuerySet[Glyph]) -> None:
        """Give one label to all glyphs that were ticked."""
        label = request.POST.get("new_label", "")
        if not label:
            raise BadRequest("Choose the label to give, beside the action.")
        self._set(queryset, label, request.user)
        self.message_user(request, f"{len(queryset)} glyphs have the label {label} now.")

    @admin.action(description="Take the label away, ask anew", permissions=["change"])
    def take_label(self, request: HttpRequest, queryset: QuerySet[Glyph]) -> None:
        """Take the label from all glyphs that were ticked, so that visitors are asked from the start."""
        self._set(queryset, "", request.user)
        self.message_user(request, f"{len(queryset)} glyphs have no label now.")

    def _set(self, glyphs: Iterable[Glyph], label: str, user: AbstractBaseUser | AnonymousUser, why: str = "") -> None:
        for glyph in glyphs:
            deciding.set_label(glyph, label, reason=_reason(user, why or "set by hand"), now=timezone.now())

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
    def standing(self, glyph: Glyph) -> SafeString | str:
        """Return how far the label is trusted."""
        return cells.standing(glyph.state)

    @admin.display(description="posterior")
    def certainty(self, glyph: Glyph) -> str:
        """Return how likely the label is, or the likeliest character where there is none."""
        return "–" if glyph.posterior is None else percent(glyph.posterior)

    @admin.display(description="data set")
    def came_with(self, glyph: Glyph) -> str:
        """Return its data set, and whether it is for testing."""
        return f"{glyph.data_set}, {glyph.split}" if glyph.split == Split.TEST else str(glyph.data_set)

    @admin.display(description="")
    @once
    def why(self, glyph: Glyph) -> SafeString:
        """Show what is believed of the glyph, and why it has its state."""
        why = explain(glyph)
        ensemble = link(why.ensemble, why.ensemble) if why.ensemble else ""
        return render_to_string("administration/why.html", {"why": why, "ensemble": ensemble})

    @admin.display(description="votes")
    def typed(self, glyph: Glyph) -> SafeString:
        """Return what visitors typed, the most frequent first."""
        counts = Counter(vote.typed for vote in glyph.votes.all()).most_common()
        return format_html_join(" ", '<span class="vote">{}<small>×{}</small></span>', counts)


def _reason(user: AbstractBaseUser | AnonymousUser, why: str) -> str:
    return f"by {user.get_username()}: {why}"[:REASON_LENGTH]
