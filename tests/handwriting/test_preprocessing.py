"""Whatever a character was drawn on and with, it comes out as EMNIST would have made it; anything else is refused."""

import os
import struct
import zlib
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from handwriting.formats.emnist import open_files
from handwriting.preprocessing import FORMATS, LONGEST, THICK, THIN, PictureError, prepare, read

WHITE, BLACK = (255, 255, 255), (0, 0, 0)
Colour = tuple[int, ...]
A = (((60, 230), (140, 40), (220, 230)), ((95, 160), (185, 160)))
I = (((140, 110), (140, 230)), ((140, 60), (142, 66)))  # noqa: E741 - The letter is the subject.
ONE = (((140, 60), (140, 230)),)
T = (((50, 50), (230, 50)), ((140, 62), (140, 240)))
LETTERS = {"A": A, "i": I, "1": ONE, "T": T}


def drawing(
    strokes=A, *, pen: int = 16, ink: Colour = BLACK, paper: Colour = WHITE, side: int = 280, mode: str = "RGB"
) -> Image.Image:
    """Draw polylines that are given on a canvas of 280 pixels with a round pen on a square of another side."""
    image = Image.new(mode, (side, side), paper)
    draw = ImageDraw.Draw(image)
    for stroke in strokes:
        points = [(x * side / 280, y * side / 280) for x, y in stroke]
        draw.line(points, fill=ink, width=pen, joint="curve")
        for x, y in points:
            draw.ellipse((x - pen / 2, y - pen / 2, x + pen / 2, y + pen / 2), fill=ink)
    return image


def placed(image: Image.Image, size: tuple[int, int], corner: tuple[int, int], paper: Colour = WHITE) -> Image.Image:
    page = Image.new("RGB", size, paper)
    page.paste(image, corner)
    return page


def encoded(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    file = BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


def difference(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> float:
    return float(np.abs(one.astype(int) - other).mean())


def glyph(image: Image.Image) -> NDArray[np.uint8]:
    return read(encoded(image))


PLAIN = glyph(drawing())


def test_it_centres_the_character_as_emnist_does() -> None:
    ink = PLAIN > 60
    rows, columns = np.flatnonzero(ink.any(axis=1)), np.flatnonzero(ink.any(axis=0))
    assert (rows[0], rows[-1]) in {(2, 25), (3, 24)}
    assert abs(columns[0] + columns[-1] - 27) <= 1
    assert PLAIN.dtype == np.uint8
    assert PLAIN.max() > 250
    assert PLAIN[0].max() < 10


def test_it_keeps_the_proportions_of_a_narrow_character() -> None:
    ink = glyph(drawing(ONE)) > 60
    assert ink.any(axis=0).sum() <= 5
    assert 22 <= ink.any(axis=1).sum() <= 24


@pytest.mark.parametrize(
    ("ink", "paper"),
    [
        (WHITE, BLACK),
        ((20, 40, 160), (250, 245, 220)),
        ((250, 240, 30), WHITE),
        ((200, 60, 60), (60, 142, 60)),
        ((130, 130, 130), (170, 170, 170)),
    ],
    ids=["light on dark", "blue on cream", "yellow on white", "red on as light a green", "pencil"],
)
def test_it_reads_any_ink_on_any_paper(ink: Colour, paper: Colour) -> None:
    assert difference(glyph(drawing(ink=ink, paper=paper)), PLAIN) < 6


@pytest.mark.parametrize("ink", [BLACK, WHITE, (200, 30, 30)], ids=["black", "white", "red"])
def test_it_reads_a_transparent_canvas(ink: Colour) -> None:
    canvas = drawing(ink=(*ink, 255), paper=(0, 0, 0, 0), mode="RGBA")
    assert difference(glyph(canvas), PLAIN) < 6


def test_it_reads_a_page_with_a_transparent_margin() -> None:
    page = Image.new("RGBA", (320, 320), (0, 0, 0, 0))
    page.paste(drawing(), (20, 20))
    assert difference(glyph(page), PLAIN) < 6


@pytest.mark.parametrize(("size", "corner"), [((900, 300), (600, 10)), ((290, 1500), (5, 1200))])
def test_it_finds_the_character_wherever_it_stands(size: tuple[int, int], corner: tuple[int, int]) -> None:
    assert difference(glyph(placed(drawing(), size, corner)), PLAIN) < 12


@pytest.mark.parametrize("side", [28, 64, 640, 1800])
def test_it_reads_any_size(side: int) -> None:
    image = drawing(pen=16 * 4, side=1120).resize((side, side), Image.Resampling.BOX)
    assert difference(glyph(image), PLAIN) < 12


@pytest.mark.parametrize("letter", LETTERS)
@pytest.mark.parametrize("margin", [3, 16])
def test_it_drops_a_frame(letter: str, margin: int) -> None:
    framed = drawing(LETTERS[letter])
    ImageDraw.Draw(framed).rectangle((margin, margin, 279 - margin, 279 - margin), outline=BLACK, width=3)
    assert difference(glyph(framed), glyph(drawing(LETTERS[letter]))) < 6


def test_it_drops_a_rule_along_an_edge() -> None:
    ruled = drawing()
    ImageDraw.Draw(ruled).line((0, 268, 280, 271), fill=BLACK, width=3)
    assert difference(glyph(ruled), PLAIN) < 6


@pytest.mark.parametrize("turn", [0, 2])
@pytest.mark.parametrize("letter", ["A", "T"])
@pytest.mark.parametrize("corner", [(90, 160), (10, 70), (150, 60)], ids=["over the bottom", "left", "right"])
def test_it_drops_the_box_of_a_form_that_was_written_over(letter: str, corner: tuple[int, int], turn: float) -> None:
    box = Image.new("RGB", (520, 520), WHITE)
    ImageDraw.Draw(box).rectangle((70, 60, 380, 380), outline=(60, 60, 60), width=2)
    box = box.rotate(turn, Image.Resampling.BICUBIC, fillcolor=WHITE)
    written = np.minimum(np.asarray(box), np.asarray(placed(drawing(LETTERS[letter], pen=12), box.size, corner)))
    assert difference(glyph(Image.fromarray(written)), glyph(drawing(LETTERS[letter], pen=12))) < 8


@pytest.mark.parametrize("letter", ["B", "D", "E", "8"])
def test_no_letter_of_thin_straight_lines_is_taken_for_a_box(letter: str) -> None:
    left, right = ((40, 30), (40, 250)), ((180, 30), (230, 80), (230, 200), (180, 250))
    top, middle, bottom = (((40, y), (180, y)) for y in (30, 140, 250))
    strokes = {
        "B": (left, top, middle, bottom, right, ((180, 140), (230, 140))),
        "D": (left, top, bottom, right),
        "E": (left, top, middle, bottom),
        "8": (
            ((90, 30), (190, 30), (230, 70), (230, 210), (190, 250), (90, 250), (50, 210), (50, 70), (90, 30)),
            middle,
        ),
    }[letter]
    assert difference(glyph(drawing(strokes, pen=3)), glyph(drawing(strokes, pen=14))) < 16


def ruled(*, step: int, squared: bool, slope: float = 0.0, ink: Colour = BLACK, pen: int = 10) -> Image.Image:
    """Draw an A on paper with lines in blue."""
    page = Image.new("RGB", (560, 560), (238, 236, 228))
    draw = ImageDraw.Draw(page)
    for place in range(-30 + step // 2, 600, step):
        draw.line((0, place, 560, place + slope * 560), fill=(140, 165, 210), width=2)
        if squared:
            draw.line((place, 0, place - slope * 560, 560), fill=(140, 165, 210), width=2)
    for stroke in A:
        draw.line([(140 + x, 120 + y) for x, y in stroke], fill=ink, width=pen, joint="curve")
    return page


@pytest.mark.parametrize("ink", [BLACK, (110, 110, 115)], ids=["ink", "pencil"])
@pytest.mark.parametrize("slope", [0, 0.03])
@pytest.mark.parametrize("squared", [False, True], ids=["lined", "squared"])
def test_it_drops_the_lines_of_the_paper(*, squared: bool, slope: float, ink: Colour) -> None:
    clean = glyph(drawing(pen=10))
    assert difference(glyph(ruled(step=90, squared=squared, slope=slope, ink=ink)), clean) < 10


def test_it_keeps_the_bars_of_a_letter_that_fills_the_picture() -> None:
    strokes = (((5, 5), (5, 275)), ((5, 5), (275, 5)), ((5, 140), (275, 140)), ((5, 275), (275, 275)))
    tight = glyph(drawing(strokes, pen=6))
    assert difference(tight, glyph(placed(drawing(strokes, pen=6), (400, 400), (60, 60)))) < 6


@pytest.mark.parametrize("side", ["left", "top"])
@pytest.mark.parametrize("ink", [BLACK, (40, 50, 130)], ids=["black", "blue"])
def test_it_sees_through_the_edge_of_a_shadow(side: str, ink: Colour) -> None:
    light = np.where(np.arange(280) < 130, 0.6, 1.0)
    light = light[None, :, None] if side == "left" else light[:, None, None]
    page = Image.fromarray((np.asarray(drawing(ink=ink)) * light).astype(np.uint8))
    assert difference(glyph(page), PLAIN) < 8


def test_it_refuses_a_word() -> None:
    word = placed(drawing(), (900, 300), (0, 10))
    for place, letter in ((300, I), (560, A)):
        word.paste(drawing(letter), (place, 10))
    with pytest.raises(PictureError, match="several characters"):
        glyph(word)


def test_an_empty_file_is_told_as_such() -> None:
    with pytest.raises(PictureError, match="empty"):
        read(b"")


def test_it_keeps_what_is_all_there_is_even_if_it_looks_like_a_frame() -> None:
    square = Image.new("L", (280, 280), 255)
    ImageDraw.Draw(square).rectangle((10, 10, 270, 270), outline=0, width=16)
    assert (glyph(square) > 100).mean() > 0.2


def test_it_keeps_the_loose_bar_of_a_tightly_cropped_letter() -> None:
    tight = drawing(T).crop((42, 42, 238, 248))
    assert difference(glyph(tight), glyph(drawing(T))) < 6


def test_it_keeps_the_dot_of_an_i() -> None:
    rows = (glyph(drawing(I)) > 100).any(axis=1)
    assert np.flatnonzero(np.diff(rows.astype(int))).tolist() != []
    assert (np.diff(rows.astype(int)) == 1).sum() == 2


def test_it_drops_specks() -> None:
    specked, rng = drawing(), np.random.default_rng(5)
    draw = ImageDraw.Draw(specked)
    for x, y in rng.uniform(0, 280, (40, 2)):
        draw.ellipse((x - 1, y - 1, x + 1, y + 1), fill=BLACK)
    assert difference(glyph(specked), PLAIN) < 8


def test_it_sees_through_uneven_light_and_noise() -> None:
    light = np.linspace(0.5, 1, 280)[None, :, None] * np.linspace(1, 0.8, 280)[:, None, None]
    levels = np.asarray(drawing(ink=(40, 40, 60), paper=(240, 235, 225))) * light
    levels += np.random.default_rng(3).normal(0, 4, levels.shape)
    photo = Image.fromarray(levels.clip(0, 255).astype(np.uint8))
    assert difference(read(encoded(photo, "JPEG")), PLAIN) < 8


@pytest.mark.parametrize("pen", [1, 2, 3, 8, 16, 30, 50])
def test_it_evens_out_the_pen(pen: int) -> None:
    ink = glyph(drawing(pen=pen)).astype(float) / 255
    down, across = np.gradient(ink)
    width = 2 * ink.sum() / np.hypot(down, across).sum()
    assert THIN * 0.85 < width < THICK * 1.2
    assert (ink > 0.6).sum() > 40


@pytest.mark.parametrize("form", FORMATS)
def test_it_reads_every_format_it_names(form: str) -> None:
    assert difference(read(encoded(drawing(), form)), PLAIN) < 4


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I", "I;16", "F"])
def test_it_reads_every_kind_of_pixel(mode: str) -> None:
    if mode == "I;16":
        image = Image.fromarray(np.asarray(drawing().convert("L"), np.uint16) * 200 + 1000)
    else:
        image = drawing().convert(mode)
    form = "TIFF" if mode in {"CMYK", "F", "I"} else "PNG"
    assert difference(read(encoded(image, form)), PLAIN) < 4


@pytest.mark.parametrize("form", ["GIF", "WEBP", "TIFF", "PNG"])
def test_it_refuses_a_file_of_several_pictures(form: str) -> None:
    frames = encoded(drawing(), form, save_all=True, append_images=[drawing(ONE)])
    with pytest.raises(PictureError, match="holds several pictures"):
        read(frames)


def test_it_reads_a_photo_to_which_a_phone_added_a_second_picture() -> None:
    photo = encoded(drawing(), "MPO", save_all=True, append_images=[drawing(ONE)])
    assert difference(read(photo), PLAIN) < 4


def test_it_turns_a_photo_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # Turn it a quarter clockwise to see it as it was taken.
    photo = encoded(drawing().transpose(Image.Transpose.ROTATE_90), "JPEG", exif=exif)
    assert difference(read(photo), PLAIN) < 4


def test_it_reads_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(encoded(drawing()))
    assert difference(read(path), PLAIN) == 0


@settings(deadline=None)  # A busy machine is no fault.
@given(seed=st.integers(0, 2**32 - 1))
def test_dark_on_light_and_light_on_dark_come_out_alike(seed: int) -> None:
    rng = np.random.default_rng(seed)
    strokes = rng.uniform(30, 250, (2, 3, 2))
    strokes[1, 0] = strokes[0, 1]  # Apart they would be two characters.
    image = drawing(tuple(map(tuple, strokes)), pen=int(rng.integers(4, 30)))
    grey = np.asarray(image.convert("L"))
    dim = (grey * 0.6 + 40).astype(np.uint8)
    # The edge that is cropped to may lie a quarter of a glyph's pixel to one side or the other.
    assert difference(prepare(dim), prepare(255 - dim)) < 5


@settings(deadline=None)  # A busy machine is no fault.
@given(grey=arrays.arrays(np.uint8, arrays.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=40)))
def test_any_grey_picture_gives_a_glyph_or_a_picture_error(grey: NDArray[np.uint8]) -> None:
    try:
        made = prepare(grey)
    except PictureError:
        return
    assert made.shape == (28, 28)
    assert made.dtype == np.uint8
    assert made.any()


@settings(deadline=None)  # A busy machine is no fault.
@given(data=st.binary(max_size=300))
@example(b"")
@example(b"GIF89a")
@example(b"RIFF\x00\x00\x00\x00WEBPVP8 ")
def test_any_bytes_give_a_picture_error(data: bytes) -> None:
    with pytest.raises(PictureError, match="not a picture"):
        read(data)


PICTURES = [encoded(drawing(side=40), form) for form in FORMATS]


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow warns of the damage that it reads past.
@settings(deadline=None)  # A busy machine is no fault.
@given(picture=st.sampled_from(PICTURES), at=st.floats(0, 1, exclude_max=True), byte=st.integers(0, 255))
def test_a_damaged_picture_gives_a_glyph_or_a_picture_error(picture: bytes, at: float, byte: int) -> None:
    place = int(at * len(picture))
    for damaged in (picture[:place] + bytes([byte]) + picture[place + 1 :], picture[:place]):
        with suppress(PictureError):
            assert read(damaged).shape == (28, 28)


@pytest.mark.parametrize("form", ["PPM", "ICO", "EPS"])
def test_it_refuses_other_formats(form: str) -> None:
    with pytest.raises(PictureError, match=r"send one of PNG, JPEG"):
        read(encoded(drawing(), form))


def bomb(width: int, height: int) -> bytes:
    """Make a PNG that claims a size and holds no pixel of it."""
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunks = [(b"IHDR", head), (b"IDAT", zlib.compress(b"\0" * 100)), (b"IEND", b"")]
    body = b"".join(struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("side", [5001, 10_000, 100_000])
def test_it_refuses_a_huge_picture_before_decoding_it(side: int) -> None:
    with pytest.raises(PictureError, match="too large: send one of at most 10 million pixels"):
        read(bomb(side, side))


def noisy_page() -> Image.Image:
    levels = np.random.default_rng(1).normal(200, 6, (200, 200)).clip(0, 255)
    return Image.fromarray(levels.astype(np.uint8))


@pytest.mark.parametrize(
    "image",
    [
        Image.new("RGB", (280, 280), WHITE),
        Image.new("RGBA", (280, 280), (0, 0, 0, 0)),
        Image.new("L", (1, 1), 7),
        Image.linear_gradient("L"),
        noisy_page(),
        drawing((((140, 140), (140, 141)),), pen=2),
    ],
    ids=["white", "transparent", "one pixel", "a shadow", "noise", "a speck of dust"],
)
def test_it_refuses_a_blank_page(image: Image.Image) -> None:
    with pytest.raises(PictureError, match="blank"):
        glyph(image)


@pytest.mark.parametrize(
    "wrong",
    [np.zeros((0, 5), np.uint8), np.zeros((5, 5, 3), np.uint8), np.zeros((5, 5))],
    ids=["empty", "coloured", "floats"],
)
def test_it_refuses_arrays_that_are_not_grey_pictures(wrong: NDArray[np.uint8]) -> None:
    with pytest.raises(PictureError, match="uint8 array of two dimensions"):
        prepare(wrong)


def test_it_reads_large_pictures_at_a_lower_resolution() -> None:
    side = 4 * LONGEST
    assert difference(glyph(drawing(pen=round(16 * side / 280), side=side)), PLAIN) < 6


@pytest.mark.emnist
@pytest.mark.skipif(not os.environ.get("DRCAPTCHA_EMNIST"), reason="DRCAPTCHA_EMNIST names no EMNIST files")
def test_scans_of_emnist_come_back_as_they_were() -> None:
    """Enlarged, inverted and set off centre on a page, EMNIST's own glyphs change little."""
    known = next(open_files(Path(os.environ["DRCAPTCHA_EMNIST"])).chunks(300)).images
    pages = (Image.fromarray(255 - one).resize((224, 224), Image.Resampling.BICUBIC) for one in known)
    back = np.stack([glyph(placed(page, (400, 300), (150, 40))) for page in pages])
    assert difference(back, known) < 14
    assert (
        np.mean([np.corrcoef(one.ravel(), other.ravel())[0, 1] for one, other in zip(back, known, strict=True)]) > 0.9
    )


@pytest.mark.parametrize("shape", [(100, 100), (200, 100), (77, 39)])
@pytest.mark.parametrize("length", range(20, 34))
def test_a_line_of_one_pixel_is_a_character(shape: tuple[int, int], length: int) -> None:
    page = np.full(shape, 255, np.uint8)
    page[2 : 2 + length, shape[1] // 2] = 0
    assert prepare(page).any()
