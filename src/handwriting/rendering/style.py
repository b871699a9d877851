"""How hard a captcha is to read: every parameter of its rendering in one place."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Style:
    """The parameters of a rendering.

    Lengths are in pixels of the sketch, on which glyphs and scribbles are drawn before it is enlarged twice. A pair is
    a range to draw from, uniformly.
    """

    height: int = 60
    cell: int = 33
    """Width that a picture grants each glyph."""
    margin: int = 9

    zoom: tuple[float, float] = (1.4, 1.68)
    stretch: tuple[float, float] = (0.9, 1.12)
    rotation: tuple[float, float] = (-8.0, 8.0)
    """Degrees."""
    shear: tuple[float, float] = (-0.15, 0.15)
    gap: tuple[float, float] = (-1.0, 4.0)
    """Room between the ink of neighbours; negative where they overlap."""
    wander: float = 4.0
    """How far the middle of a glyph strays from the middle of the picture."""
    weight: tuple[float, float] = (0.8, 1.25)
    """How heavily the pen writes a glyph; at 1 its strokes come near the width of EMNIST's thinner ones."""

    waves: int = 3
    wave_length: tuple[float, float] = (26.0, 80.0)
    wave_height: tuple[float, float] = (0.8, 1.5)

    scribbles: tuple[int, int] = (1, 2)
    """Fewest and most strokes that cross the picture."""
    scribble_width: tuple[float, float] = (1.0, 1.5)

    grain: int = 7
    """Grey levels by which neighbouring pixels of the paper differ."""
    blotches: int = 22
    """Grey levels by which regions of the paper differ."""
    fading: float = 0.3
    """Share of its darkness that the ink loses where it runs dry."""


DEFAULT = Style()

EASY = Style(
    rotation=(-5.0, 5.0),
    shear=(-0.08, 0.08),
    gap=(1.0, 5.0),
    wander=2.5,
    weight=(0.9, 1.2),
    wave_height=(0.3, 0.8),
    scribbles=(0, 1),
    blotches=14,
    fading=0.15,
)

HARD = Style(
    rotation=(-11.0, 11.0),
    shear=(-0.2, 0.2),
    gap=(-3.0, 1.5),
    wander=5.0,
    wave_height=(1.1, 1.9),
    scribbles=(2, 3),
    scribble_width=(1.2, 2.0),
    grain=12,
    blotches=34,
    fading=0.38,
)

STYLES = {"easy": EASY, "normal": DEFAULT, "hard": HARD}
"""By difficulty: distortion, overlap, clutter and contrast grow together."""
