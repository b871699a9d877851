"""Lines drawn on pages of the administration: from figures to places in a picture, which a template draws."""

from collections.abc import Sequence
from dataclasses import dataclass

STEPS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
"""How far below 100 % an axis of shares may begin."""


@dataclass(frozen=True)
class Dot:
    """One figure, in percent of the picture's width and height from its upper left corner, and in words."""

    x: float
    y: float
    words: str


@dataclass(frozen=True)
class Line:
    """A line of shares, with what stands at the ends of its axes."""

    title: str
    dots: list[Dot]
    top: str
    bottom: str
    start: str
    end: str

    @property
    def path(self) -> str:
        """The line as an SVG path."""
        return "M" + " L".join(f"{dot.x:.2f} {dot.y:.2f}" for dot in self.dots)


def line(title: str, shares: Sequence[tuple[float, float]], *, unit: str, whole: bool) -> Line | None:
    """Draw shares of 0 to 1 against counts, each a pair (count, share); None where there are fewer than two.

    With ``whole`` the axis begins at 0, otherwise as far up as the figures allow.
    """
    if len(shares) < 2:
        return None
    last = max(count for count, _ in shares) or 1
    span = 1.0 if whole else next(step for step in STEPS if step >= 1 - min(share for _, share in shares) or step == 1)
    dots = [
        Dot(100 * count / last, 100 * (1 - share) / span, f"{share:.2%} after {count:,.0f} {unit}")
        for count, share in shares
    ]
    return Line(title, dots, "100%", f"{100 * (1 - span):g}%", "0", f"{last:,.0f} {unit}")
