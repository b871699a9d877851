"""Votes, where they come from, what was decided on them, and by which parameters."""

from typing import Any

from django.db import models

from drcaptcha.glyphs.models import Glyph, State
from drcaptcha.learning.models import Ensemble
from drcaptcha.sites.models import Site


class Salt(models.Model):
    """A day's random part of the hashes by which sources are told apart. It is thrown away when the day is over."""

    day = models.DateField(unique=True)
    value = models.CharField(max_length=64)

    def __str__(self) -> str:
        return str(self.day)


class Source(models.Model):
    """Where votes come from: a hash of address, site and the day's salt. The address itself is never kept.

    ``trust`` and ``doubt`` are parts of observations for and against its honesty, as they counted at ``weighed``.
    ``settled_trust`` and ``settled_doubt`` are what the last estimate concluded, as they counted at ``settled``; the
    votes after it go on from there.
    """

    site = models.ForeignKey(Site, null=True, on_delete=models.SET_NULL, help_text="None once it was deleted.")
    key = models.CharField(max_length=64, unique=True)
    created = models.DateTimeField()
    honesty = models.PositiveSmallIntegerField(null=True, help_text="In percent; empty before it has voted.")
    mass = models.SmallIntegerField(default=0, help_text="On how much it rests, in steps of a quarter more each.")
    trust = models.FloatField(default=0)
    doubt = models.FloatField(default=0)
    weighed = models.DateTimeField(null=True)
    settled_trust = models.FloatField(default=0)
    settled_doubt = models.FloatField(default=0)
    settled = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.key[:8]


class Role(models.TextChoices):
    """Why a glyph stood in the captcha without gating the pass."""

    PROBE = "probe"
    """Its label was wanted."""
    AUDIT = "audit"
    """Its label was known: to tell who lies where lying is free, and how right the accepted labels are."""


CANT_READ = "?"
"""What a visitor types for a character that can't be read."""


class Vote(models.Model):
    """What one visitor typed for one glyph. Votes are only ever added."""

    glyph = models.ForeignKey(Glyph, on_delete=models.CASCADE, related_name="votes")
    source = models.ForeignKey(Source, on_delete=models.PROTECT, related_name="votes")
    captcha = models.PositiveBigIntegerField(help_text="The captcha in which it was asked.")
    role = models.CharField(max_length=5, choices=Role)
    typed = models.CharField(max_length=1)
    answer = models.CharField(
        max_length=1, blank=True, default="", help_text=f"Its class; {CANT_READ} for “can't read”, empty for none."
    )
    known = models.CharField(max_length=1, blank=True, default="", help_text="In an audit: the class it was known as.")
    evidence = models.FloatField(default=0, help_text="What it says of its source, -1 (a lie) to 1 (honest).")
    controls = models.PositiveSmallIntegerField(default=0, help_text="Controls of the captcha that were read right.")
    prior = models.ForeignKey(
        Ensemble,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="+",
        help_text="The ensemble whose opinion was the glyph's prior.",
    )
    created = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint("captcha", "glyph", name="vote_once_a_captcha")]
        # The latest audits are found in it, however many votes there are.
        indexes = [models.Index("role", "id", name="vote_role")]

    def __str__(self) -> str:
        return f"{self.typed!r} for {self.glyph_id}"


class Miss(models.Model):
    """A control that a visitor failed. What was typed is not kept. Rows are only ever added, one a source and glyph."""

    glyph = models.ForeignKey(Glyph, on_delete=models.CASCADE, related_name="misses")
    source = models.ForeignKey(Source, on_delete=models.PROTECT, related_name="misses")
    captcha = models.PositiveBigIntegerField(help_text="The captcha in which it stood.")
    alone = models.BooleanField(help_text="Whether all other controls of the captcha were right.")
    known = models.CharField(max_length=1, blank=True, default="", help_text="The label that it had.")
    created = models.DateTimeField()

    class Meta:
        verbose_name_plural = "misses"
        constraints = [models.UniqueConstraint("glyph", "source", name="miss_once_a_source")]

    def __str__(self) -> str:
        return f"{self.glyph_id} by {self.source}"


class Decision(models.Model):
    """One move of a glyph's label or state, with its reason. Moves are only ever added, so each can be taken back."""

    glyph = models.ForeignKey(Glyph, on_delete=models.CASCADE, related_name="decisions")
    before = models.CharField(max_length=1, blank=True)
    after = models.CharField(max_length=1, blank=True)
    before_state = models.CharField(max_length=12, choices=State, blank=True, default="")
    after_state = models.CharField(max_length=12, choices=State, blank=True, default="")
    posterior = models.FloatField(null=True, blank=True, help_text="Of the label, or of the likeliest character.")
    votes = models.PositiveIntegerField(default=0, help_text="How many counted.")
    sources = models.PositiveIntegerField(default=0, help_text="Distinct ones that typed the likeliest character.")
    prior = models.FloatField(null=True, blank=True, help_text="What a network thought of that character before.")
    reason = models.CharField(max_length=200)
    created = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.before or '–'} → {self.after or '–'}"


class Estimate(models.Model):
    """How people read and how honest they are, as concluded from all votes up to ``last_vote``.

    The newest one is what labels go by.
    """

    parameters: "models.JSONField[dict[str, Any]]" = models.JSONField()
    votes = models.PositiveBigIntegerField(help_text="How many it was made from.")
    sources = models.PositiveIntegerField()
    last_vote = models.PositiveBigIntegerField(default=0, help_text="The number of the last vote that went into it.")
    last_miss = models.PositiveBigIntegerField(default=0, help_text="The number of the last miss that went into it.")
    moved = models.PositiveIntegerField(default=0, help_text="Glyphs whose label or state it moved.")
    seconds = models.FloatField(default=0)
    created = models.DateTimeField()

    def __str__(self) -> str:
        return f"estimate {self.pk} of {self.votes:,} votes"
