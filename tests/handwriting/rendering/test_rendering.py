"""A captcha is legible, the same for the same chance, and tells nothing but what it shows."""

from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from handwriting.preprocessing import read
from handwriting.rendering import Style, render
from handwriting.rendering.layout import arrange
from handwriting.rendering.pen import press

STYLE = Style()
SEEDS = st.integers(0, 2**32 - 1)
STROKES = {
    "T": [(4, 4, 24, 4), (14, 4, 14, 24)],
    "L": [(8, 3, 8, 24), (8, 24, 21, 24)],
    "Z": [(5, 4, 23, 4), (23, 4, 5, 24), (5, 24, 23, 24)],
    "W": [(2, 2, 8, 25), (8, 25, 14, 4), (14, 4, 20, 25), (20, 25, 25, 2)],
    "1": [(14, 3, 14, 25)],
}


def written(character: str, width: int = 3) -> NDArray[np.uint8]:
    image = Image.new("L", (28, 28))
    for stroke in STROKES[character]:
        ImageDraw.Draw(image).line(stroke, fill=255, width=width)
    return np.array(image)


def glyphs(text: str) -> NDArray[np.uint8]:
    return np.stack([written(character) for character in text])


def opened(data: bytes) -> Image.Image:
    image = Image.open(BytesIO(data))
    image.load()
    return image


def likeness(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


def test_it_makes_a_jpeg_of_the_size_it_says() -> None:
    picture = render(glyphs("TLZ1TL"), np.random.default_rng(1))
    image = opened(picture.data)
    assert picture.media_type == "image/jpeg"
    assert image.format == "JPEG"
    assert image.size == (picture.width, picture.height)


def test_it_makes_the_same_bytes_of_the_same_chance() -> None:
    one, same, other = (render(glyphs("TLZ1"), np.random.default_rng(seed)).data for seed in (7, 7, 8))
    assert one == same
    assert one != other


def test_it_carries_no_metadata() -> None:
    image = opened(render(glyphs("TLZ1"), np.random.default_rng(1)).data)
    assert set(image.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
    assert not image.getexif()


@settings(deadline=None)  # A busy machine is no fault.
@given(seed=SEEDS, count=st.integers(1, 10))
def test_its_size_tells_only_how_many_glyphs_there_are(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    noise = rng.integers(0, 255, (count, 28, 28), dtype=np.uint8, endpoint=True)
    noise *= rng.integers(0, 1, (count, 1, 1), dtype=np.uint8, endpoint=True)  # Some of them are blank.
    picture, plain = render(noise, rng), render(glyphs("T" * count), rng)
    assert (picture.width, picture.height) == (plain.width, plain.height)


@settings(deadline=None)  # A busy machine is no fault.
@given(seed=SEEDS, text=st.text("TLZW1", min_size=1, max_size=9))
def test_it_sets_glyphs_from_left_to_right_inside_the_picture(seed: int, text: str) -> None:
    row = arrange(glyphs(text), STYLE, np.random.default_rng(seed))
    left, top, right, bottom = row.boxes.T
    assert (np.diff((left + right) / 2) > 0).all()
    assert (left[1:] > right[:-1] + STYLE.gap[0] - 1e-6).all()
    assert left.min() >= 0
    assert right.max() <= row.width
    assert top.min() >= 0
    assert bottom.max() <= row.height


@settings(deadline=None)  # A busy machine is no fault.
@given(seed=SEEDS, text=st.text("TLZW1", min_size=1, max_size=9))
def test_its_ink_is_where_it_says(seed: int, text: str) -> None:
    still = Style(waves=0, scribbles=(0, 0), gap=(3, 6))
    picture = render(glyphs(text), np.random.default_rng(seed), still)
    dark = np.asarray(opened(picture.data).convert("L")) < 140
    for box in picture.boxes:
        left, right = box[[0, 2]].round().astype(int)
        rows, columns = np.nonzero(dark[:, max(0, left - 3) : right + 3])
        extent = [columns.min() + max(0, left - 3), rows.min(), columns.max() + 1 + max(0, left - 3), rows.max() + 1]
        np.testing.assert_allclose(extent, box, atol=2.5)


def test_it_draws_no_glyph_twice_alike() -> None:
    row = arrange(glyphs("TTTTTT"), STYLE, np.random.default_rng(3))
    assert len({tuple(matrix.round(6).ravel()) for matrix in row.matrices}) == 6


@pytest.mark.parametrize("character", "TLZ1")
def test_what_it_draws_can_be_read_back(character: str) -> None:
    plain = Style(scribbles=(0, 0))
    pictures = [render(glyphs(character), np.random.default_rng(seed), plain).data for seed in range(12)]
    mean = np.mean([read(picture) for picture in pictures], axis=0).astype(np.uint8)
    closest = max(STROKES, key=lambda other: likeness(mean, read(png(written(other)))))
    assert closest == character


def png(glyph: NDArray[np.uint8]) -> bytes:
    file = BytesIO()
    Image.fromarray(glyph).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("seed", range(30))
def test_its_ink_stands_out_from_its_paper(seed: int) -> None:
    """WCAG 2.2 asks 4.5:1 of text."""
    image = opened(render(glyphs("ZZZZZZ"), np.random.default_rng(seed)).data).convert("RGB")
    linear = np.where((levels := np.asarray(image) / 255) <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)
    luminance = linear @ [0.2126, 0.7152, 0.0722]
    ink, paper = np.percentile(luminance, [5, 60])
    assert (paper + 0.05) / (ink + 0.05) > 4.5


def test_it_scribbles_across_the_picture() -> None:
    blank = np.zeros((6, 28, 28), np.uint8)
    levels = np.asarray(opened(render(blank, np.random.default_rng(1)).data).convert("L"))
    dark = levels < 140
    assert dark.any(axis=0).mean() > 0.9


def test_one_pen_writes_hair_lines_and_bold_strokes() -> None:
    hair, bold = written("T", 1), written("T", 6)
    pressed = press(np.stack([hair // 2, bold]), np.ones(2))
    assert pressed[0].max() > hair.max() // 2
    soft = np.full((28, 28), 128, np.uint8)
    assert press(soft[None], np.ones(1)).max() < 128


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((0, 28, 28), np.uint8),
        np.zeros((28, 28), np.uint8),
        np.zeros((4, 28, 27), np.uint8),
        np.zeros((4, 28, 28), np.float32),
    ],
    ids=["none", "one without a batch", "narrow", "floats"],
)
def test_it_rejects_what_are_not_glyphs(wrong: NDArray[np.uint8]) -> None:
    with pytest.raises(ValueError, match="glyphs must be uint8"):
        render(wrong, np.random.default_rng(0))
