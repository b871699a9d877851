"""What tables about labels and votes have in common: how a state, a source or a piece of evidence is written."""

from django.contrib import admin
from django.utils.html import format_html
from django.utils.safestring import SafeString

from drcaptcha.administration.base import chip, link
from drcaptcha.glyphs.models import State
from drcaptcha.labelling.models import Decision, Miss, Source, Vote

TONES = {
    State.CONTROL: "good",
    State.ACCEPTED: "ink",
    State.PROVISIONAL: "warm",
    State.UNKNOWN: "plain",
    State.DISPUTED: "bad",
    State.UNREADABLE: "plain",
}


def standing(state: str) -> SafeString | str:
    """Return a state as a chip."""
    return chip(state, TONES[State(state)]) if state else "–"


def voter(source: Source) -> SafeString:
    """Link to a source, with its honesty as it stands today."""
    return format_html("{} {}", link(source, source), honesty(source))


def honesty(source: Source) -> SafeString | str:
    """Return the honesty of a source; in red, where it rather lies."""
    if source.honesty is None:
        return "–"
    return chip(f"{source.honesty}%", "plain" if source.honesty > 50 else "bad")


def evidence(vote: Vote) -> SafeString | str:
    """Return what a vote said of its source, from -1 to 1."""
    if abs(vote.evidence) < 0.005:
        return "0"
    return format_html(
        '<span class="evidence-{}">{}</span>', "for" if vote.evidence > 0 else "against", f"{vote.evidence:+.2f}"
    )


class FromSource:
    """Columns of rows that came from a source."""

    @admin.display(description="source, honesty today")
    def voter(self, row: Vote | Miss) -> SafeString:
        """Return where it came from."""
        return voter(row.source)

    @admin.display(description="says of source")
    def said(self, vote: Vote) -> SafeString | str:
        """Return what a vote said of its source."""
        return evidence(vote)


class Moves:
    """Columns of decisions."""

    @admin.display(description="label")
    def move(self, decision: Decision) -> str:
        """Return the label before and after."""
        return str(decision)

    @admin.display(description="from")
    def from_state(self, decision: Decision) -> SafeString | str:
        """Return the state before."""
        return standing(decision.before_state)

    @admin.display(description="to")
    def to_state(self, decision: Decision) -> SafeString | str:
        """Return the state after."""
        return standing(decision.after_state)
