"""Glyphs and the data sets that they came with."""

import secrets
from typing import Self

import numpy as np
from django.db import models

from handwriting.alphabet import Alphabet

SIDE = 28
"""Height and width of a glyph, in pixels."""


FRESH = 3.0
"""What one more vote on a glyph is worth of which nothing is known: about 3 nats."""


def random_place() -> int:
    """Return a glyph's place on the wheel from which glyphs are drawn at random."""
    return secrets.randbits(31)


class DataSet(models.Model):
    """Where glyphs came from."""

    name = models.SlugField(max_length=100, unique=True)
    caseless = models.BooleanField(default=False, help_text="Its labels don't tell a capital from a small letter.")
    created = models.DateTimeField(auto_now_add=True)

    def __str__(self) -> str:
        return self.name


class Split(models.TextChoices):
    """What a glyph may be used for: learning, or the final judgement of what was learned."""

    TRAIN = "train"
    TEST = "test"


class State(models.TextChoices):
    """How far a glyph's label is trusted."""

    UNKNOWN = "unknown"
    """Nobody was heard about it yet."""
    PROVISIONAL = "provisional"
    """There are votes, but not enough to accept a label."""
    ACCEPTED = "accepted"
    """Votes gave it its label."""
    CONTROL = "control"
    """Its label gates a pass: given with the data set or by hand, or accepted beyond doubt."""
    DISPUTED = "disputed"
    """Set aside: two characters at once, or votes that do not agree; a given label that people keep failing."""
    UNREADABLE = "unreadable"
    """Set aside: people can't read it."""


OPEN = (State.UNKNOWN, State.PROVISIONAL)
"""The states of glyphs whose label is wanted."""

LABELLED = (State.ACCEPTED, State.CONTROL)
"""The states of glyphs that have a label."""

SET_ASIDE = (State.DISPUTED, State.UNREADABLE)
"""The states of glyphs that are not asked about any more, though they have no label."""


class GlyphQuerySet(models.QuerySet["Glyph"]):
    """The selections of glyphs that the flows speak of."""

    def controls(self) -> Self:
        """Select the glyphs that may gate a pass."""
        return self.filter(split=Split.TRAIN, state=State.CONTROL)

    def unknown(self) -> Self:
        """Select the glyphs about which nobody was heard yet."""
        return self.filter(split=Split.TRAIN, state=State.UNKNOWN)

    def accepted(self) -> Self:
        """Select the glyphs whose label comes from votes."""
        return self.filter(split=Split.TRAIN, state=State.ACCEPTED)

    def labelled(self) -> Self:
        """Select the glyphs that have a label, of either split."""
        return self.exclude(label="")


class Glyph(models.Model):
    """One picture of one character."""

    data_set = models.ForeignKey(DataSet, on_delete=models.PROTECT, related_name="glyphs")
    digest = models.BinaryField(max_length=16, unique=True, help_text="BLAKE2b of the picture: one picture, one glyph.")
    picture = models.BinaryField(help_text="28×28 bytes, row by row; bright ink on a dark ground.")
    split = models.CharField(max_length=5, choices=Split)
    state = models.CharField(max_length=12, choices=State, default=State.UNKNOWN)
    label = models.CharField(max_length=1, blank=True, default="", help_text="The character that we accept for it.")
    given = models.CharField(
        max_length=1,
        blank=True,
        default="",
        help_text="The label that came with the data set or from an administrator.",
    )
    truth = models.CharField(
        max_length=1, blank=True, default="", help_text="What the data set said: to measure by, never to decide by."
    )
    posterior = models.FloatField(
        null=True, blank=True, help_text="Probability of the label, or of the likeliest character where there is none."
    )
    worth = models.FloatField(default=FRESH, help_text="How much one more vote is expected to tell.")
    passes = models.PositiveIntegerField(
        default=0, help_text="As a control: how often it was read right by someone who had all other controls right."
    )
    heard_from = models.DateTimeField(
        null=True, blank=True, help_text="Votes before this time do not count: its label was taken away then."
    )
    place = models.PositiveIntegerField(default=random_place, help_text="Where it lies on the wheel of random draws.")
    created = models.DateTimeField(auto_now_add=True)

    objects = GlyphQuerySet.as_manager()

    class Meta:
        indexes = [
            # Drawing at random walks this index, so its cost does not grow with the number of glyphs.
            models.Index("split", "state", "place", name="glyph_draw"),
            models.Index("label", "state", name="glyph_label"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(label="") ^ models.Q(state__in=LABELLED), name="glyph_labelled_in_its_state"
            ),
        ]

    def __str__(self) -> str:
        return f"glyph {self.pk}"

    @property
    def array(self) -> np.ndarray:
        """The picture as ``uint8`` of shape (28, 28)."""
        return np.frombuffer(self.picture, np.uint8).reshape(SIDE, SIDE)

    def accepts(self) -> str:
        """Return the characters that are right for this glyph."""
        return accepted(self.label, caseless=self.data_set.caseless)


def accepted(label: str, *, caseless: bool) -> str:
    """Return the characters that are right where the label is this: it, in both cases where its set tells none."""
    return label.upper() + label.lower() if caseless and label.lower() != label.upper() else label


def usable_label(label: str, alphabet: Alphabet, *, caseless: bool) -> str | None:
    """Return the class that a label means to a learner, or None where it does not say.

    A caseless ``A`` may be a picture of ``a``: in an alphabet that tells them apart it teaches nothing.
    """
    if caseless and alphabet.class_of(label.upper()) != alphabet.class_of(label.lower()):
        return None
    return alphabet.class_of(label)
