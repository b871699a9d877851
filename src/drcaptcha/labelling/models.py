"""Votes, where they come from, and what was decided on them."""

from django.db import models

from drcaptcha.glyphs.models import Glyph
from drcaptcha.sites.models import Site


class Source(models.Model):
    """Where votes come from: a keyed hash of address, site and day. The address itself is never kept."""

    site = models.ForeignKey(Site, on_delete=models.CASCADE)
    key = models.CharField(max_length=64, unique=True)
    created = models.DateTimeField()

    def __str__(self) -> str:
        return self.key[:8]


class Role(models.TextChoices):
    """Why a glyph stood in the captcha without gating the pass."""

    PROBE = "probe"
    AUDIT = "audit"


class Vote(models.Model):
    """What one visitor typed for one glyph. Votes are only ever added."""

    glyph = models.ForeignKey(Glyph, on_delete=models.CASCADE, related_name="votes")
    source = models.ForeignKey(Source, on_delete=models.PROTECT, related_name="votes")
    captcha = models.PositiveBigIntegerField(help_text="The captcha in which it was asked.")
    role = models.CharField(max_length=5, choices=Role)
    typed = models.CharField(max_length=1)
    created = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint("captcha", "glyph", name="vote_once_a_captcha")]

    def __str__(self) -> str:
        return f"{self.typed!r} for {self.glyph_id}"


class Decision(models.Model):
    """One move of a glyph's label, with its reason. Moves are only ever added, so each can be taken back."""

    glyph = models.ForeignKey(Glyph, on_delete=models.CASCADE, related_name="decisions")
    before = models.CharField(max_length=1, blank=True)
    after = models.CharField(max_length=1, blank=True)
    reason = models.CharField(max_length=200)
    created = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"{self.before or '–'} → {self.after or '–'}"
