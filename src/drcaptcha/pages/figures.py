"""What this installation has come to, in four figures."""

from dataclasses import astuple, dataclass
from typing import Self

from django.core.cache import caches

from drcaptcha.glyphs.models import Glyph
from drcaptcha.labelling.models import Vote
from drcaptcha.learning import registry

LIFETIME = 30
"""Seconds for which counted figures are shown again, so that a busy first page counts no tables."""


@dataclass(frozen=True)
class Figures:
    """Counts, and the accuracy of the best ensemble (0 to 1; None before the first evaluation)."""

    glyphs: int
    labelled: int
    votes: int
    accuracy: float | None

    @property
    def lines(self) -> list[tuple[str, str]]:
        """Each figure as it is written, with what it means."""
        return [
            (f"{self.glyphs:,}", "characters in the collection"),
            (f"{self.labelled:,}", "labelled by visitors"),
            (f"{self.votes:,}", "votes given"),
            ("–", "no ensemble was evaluated yet")
            if self.accuracy is None
            else (f"{self.accuracy:.1%}", "read rightly by the best ensemble"),
        ]

    @classmethod
    def current(cls) -> Self:
        """Return the figures as they were at most ``LIFETIME`` seconds ago."""
        counted = caches["pages"].get_or_set("drcaptcha.figures", lambda: astuple(cls.count()), LIFETIME) or ()
        return cls(*counted)

    @classmethod
    def count(cls) -> Self:
        """Count the figures now."""
        return cls(
            glyphs=Glyph.objects.count(),
            labelled=Glyph.objects.accepted().count(),
            votes=Vote.objects.count(),
            accuracy=_best_accuracy(),
        )


def _best_accuracy() -> float | None:
    champion = registry.champion()
    return champion.accuracy if champion else None
