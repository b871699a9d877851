"""What visitors typed, who they may be, what was decided on it and what was learned from it all."""

from django.contrib import admin
from django.db.models import Count, IntegerField, OuterRef, QuerySet, Subquery
from django.db.models.fields.json import KeyTransform
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

from drcaptcha.administration.base import FoundByNumber, Log, link, once
from drcaptcha.glyphs.admin import picture
from drcaptcha.labelling.admin import cells
from drcaptcha.labelling.explaining import confusions, percent
from drcaptcha.labelling.models import Decision, Estimate, Miss, Source, Vote


@admin.register(Vote)
class VoteAdmin(cells.FromSource, FoundByNumber, Log[Vote]):
    """What visitors typed."""

    until_there_is_one = "A visitor who passes has voted for the glyphs that are not known yet."
    list_display = ("glyph_picture", "typed", "known", "accepted", "role", "voter", "said", "created")
    list_display_links = ("typed",)  # The picture leads to its glyph.
    list_filter = ("role",)
    list_select_related = ("glyph", "source")
    sortable_by = ()
    numbered = "glyph"
    search_help_text = "The number of a glyph"
    fields = (
        "glyph_picture",
        ("typed", "answer", "known", "accepted"),
        ("role", "voter", "said"),
        ("captcha", "controls", "prior", "created"),
    )

    @admin.display(description="glyph")
    def glyph_picture(self, vote: Vote) -> SafeString:
        """Return the picture of the glyph that was asked about."""
        return link(vote.glyph, picture(vote.glyph))

    @admin.display(description="label now")
    def accepted(self, vote: Vote) -> str:
        """Return what the glyph is taken for today."""
        return vote.glyph.label or "–"


@admin.register(Decision)
class DecisionAdmin(cells.Moves, FoundByNumber, Log[Decision]):
    """How labels and states moved, and why."""

    until_there_is_one = "With the first vote for a glyph its state moves, and why is told here."
    list_display = ("glyph_picture", "move", "from_state", "to_state", "reason", "created")
    list_display_links = ("move",)
    list_select_related = ("glyph",)
    sortable_by = ()
    numbered = "glyph"
    search_help_text = "The number of a glyph"
    fields = (
        "glyph_picture",
        ("move", "from_state", "to_state"),
        "reason",
        ("certainty", "votes", "sources", "before_votes"),
        "created",
    )

    @admin.display(description="glyph")
    def glyph_picture(self, decision: Decision) -> SafeString:
        """Return the picture of the glyph that was decided on."""
        return link(decision.glyph, picture(decision.glyph))

    @admin.display(description="posterior")
    def certainty(self, decision: Decision) -> str:
        """Return how likely the character was."""
        return "–" if decision.posterior is None else percent(decision.posterior)

    @admin.display(description="before any vote")
    def before_votes(self, decision: Decision) -> str:
        """Return how likely it was before any vote."""
        return "–" if decision.prior is None else percent(decision.prior)


class HonestyFilter(admin.SimpleListFilter):
    """Filters sources by how far they are trusted."""

    title = "honesty"
    parameter_name = "honesty"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, str]]:  # noqa: ARG002
        """Name the ranges."""
        return [("low", "50% and less"), ("middle", "51% to 89%"), ("high", "90% and more"), ("none", "no vote yet")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Source]) -> QuerySet[Source]:  # noqa: ARG002
        """Keep the sources of one range."""
        match self.value():
            case "low":
                return queryset.filter(honesty__lte=50)
            case "middle":
                return queryset.filter(honesty__gt=50, honesty__lt=90)
            case "high":
                return queryset.filter(honesty__gte=90)
            case "none":
                return queryset.filter(honesty=None)
        return queryset


@admin.register(Source)
class SourceAdmin(Log[Source]):
    """Where votes come from, and how honest it is found to be."""

    until_there_is_one = "With the first vote there is a source."
    list_display = ("name", "honest", "voted", "missed", "site", "weighed", "created")
    list_filter = (HonestyFilter, "site")
    list_select_related = ("site",)
    sortable_by = ()
    search_fields = ("key",)
    search_help_text = "The first eight characters of a source, or more"
    fields = (
        ("name", "site"),
        ("honest", "trust_held", "doubt_held"),
        ("voted", "missed"),
        ("created", "weighed", "settled"),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Source]:
        """Count the votes and misses of those sources that are shown."""
        return super().get_queryset(request).annotate(vote_count=_number_of(Vote), miss_count=_number_of(Miss))

    def get_search_results(
        self,
        request: HttpRequest,  # noqa: ARG002
        queryset: QuerySet[Source],
        search_term: str,
    ) -> tuple[QuerySet[Source], bool]:
        """Find by the beginning of the key, which an index answers: digits and letters all come before a z."""
        key = search_term.strip().lower()
        return (queryset.filter(key__gte=key, key__lt=f"{key}z") if key else queryset), False

    @admin.display(description="source")
    def name(self, source: Source) -> str:
        """Return the part of its key by which it is told apart."""
        return str(source)

    @admin.display(description="honesty")
    def honest(self, source: Source) -> SafeString | str:
        """Return its honesty."""
        return cells.honesty(source)

    @admin.display(description="votes")
    def voted(self, source: Source) -> SafeString:
        """Link to its votes."""
        address = reverse("admin:labelling_vote_changelist", query={"source__id__exact": source.pk})
        return format_html('<a class="row-link" href="{}">{}</a>', address, f"{source.vote_count:,}")  # type: ignore[attr-defined]

    @admin.display(description="controls missed")
    def missed(self, source: Source) -> str:
        """Return how many controls it has failed."""
        return f"{source.miss_count:,}"  # type: ignore[attr-defined]

    @admin.display(description="for its honesty")
    def trust_held(self, source: Source) -> str:
        """Return the evidence for it, in parts of observations."""
        return f"{source.trust:.2f}"

    @admin.display(description="against its honesty")
    def doubt_held(self, source: Source) -> str:
        """Return the evidence against it, in parts of observations."""
        return f"{source.doubt:.2f}"


def _number_of(rows: type[Vote | Miss]) -> Coalesce:
    """Count the rows of each source in a small query of its own: a page of sources counts for a page only."""
    counted = rows._default_manager.filter(source=OuterRef("pk")).order_by().values("source")  # noqa: SLF001
    number = Subquery(counted.annotate(number=Count("pk")).values("number"), output_field=IntegerField())
    return Coalesce(number, 0)


@admin.register(Estimate)
class EstimateAdmin(Log[Estimate]):
    """What was learned of how people read and how honest they are, each time that the whole log was looked at."""

    until_there_is_one = (
        "The worker looks at the whole log once there are votes enough; manage.py reestimate does so now."
    )
    list_display = ("name", "voted", "came_from", "honest", "ambiguous", "moves", "took", "created")
    sortable_by = ()
    fieldsets = (
        (
            None,
            {"fields": (("voted", "came_from", "created"), ("honest", "ambiguous", "illegible"), ("moves", "took"))},
        ),
        ("What people mix up", {"fields": ("mixed_up",)}),
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Estimate]:
        """Read the shares alone: the table of confusions is long."""
        shares = {name: KeyTransform(name, "parameters") for name in ("honesty", "ambiguity", "illegibility")}
        return super().get_queryset(request).defer("parameters").annotate(**shares)

    @admin.display(description="estimate", ordering="pk")
    def name(self, estimate: Estimate) -> str:
        """Return its number."""
        return f"#{estimate.pk}"

    @admin.display(description="votes")
    def voted(self, estimate: Estimate) -> str:
        """Return how many votes it was made from."""
        return f"{estimate.votes:,}"

    @admin.display(description="sources")
    def came_from(self, estimate: Estimate) -> str:
        """Return how many sources the votes came from."""
        return f"{estimate.sources:,}"

    @admin.display(description="honest votes")
    def honest(self, estimate: Estimate) -> str:
        """Return the share of honest votes."""
        return percent(float(estimate.honesty))  # type: ignore[attr-defined]

    @admin.display(description="two characters at once")
    def ambiguous(self, estimate: Estimate) -> str:
        """Return the share of glyphs that are two characters at once."""
        return percent(float(estimate.ambiguity))  # type: ignore[attr-defined]

    @admin.display(description="can’t be read")
    def illegible(self, estimate: Estimate) -> str:
        """Return the share of glyphs that nobody can read."""
        return percent(float(estimate.illegibility))  # type: ignore[attr-defined]

    @admin.display(description="glyphs moved")
    def moves(self, estimate: Estimate) -> str:
        """Return how many glyphs got another label or state by it."""
        return f"{estimate.moved:,}"

    @admin.display(description="took")
    def took(self, estimate: Estimate) -> str:
        """Return how long it took."""
        return f"{estimate.seconds:.1f} s"

    @admin.display(description="")
    @once
    def mixed_up(self, estimate: Estimate) -> SafeString:
        """Show the biggest confusions."""
        return render_to_string("administration/confusions.html", {"confusions": confusions(estimate)})
