"""Any drawing or scan of one character → a glyph as EMNIST made its own.

EMNIST (Cohen et al. 2017, https://arxiv.org/abs/1702.05373, section II-A) blurs the 128×128 scan of a character, crops
it to its ink, centres it in a square with a margin of two pixels and shrinks it to 28×28 by bicubic interpolation. The
steps before that are ours: they find the ink on whatever paper or canvas it stands on.
"""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from threading import Lock

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageFilter, ImageOps

SIDE = 28
MARGIN = 2
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
MOST_PIXELS = 10_000_000
MOST_PIXELS_OF_JPEG = 25_000_000
"""A JPEG is decoded at a lower resolution, so a large photograph costs no more memory than a small picture."""
LONGEST = 640
"""Pixels to which the longer side of a picture is reduced before it is examined."""

FAINTEST = 14.0
"""Grey levels by which ink must differ from paper."""
SOLID = 0.4
"""Darkness from which a pixel belongs to a stroke; below it is the stroke's soft edge."""
SMALLEST = 5
"""Pixels that the longer side of a character's largest stroke has at least; anything smaller is dust."""

EDGE = 2
"""Pixels of the glyph over which a stroke fades."""
FINE = 4
"""Pixels per pixel of the glyph while the strokes' width is corrected."""
THIN, THICK = 2.2, 4.8
"""Widths of stroke, in pixels of the glyph, between which four fifths of EMNIST lie (its median is 2.9)."""
_ANY = [0] + 255 * [255]
_CROPPED = 13 * [0] + 243 * [255]
_BLANK = "The picture is blank: draw one character, in a colour that stands out."

Floats = NDArray[np.float32]

_DECODING = Lock()


class PictureError(ValueError):
    """The picture can't be read as one character; the message tells its sender why."""


def read(picture: bytes | Path) -> NDArray[np.uint8]:
    """Read the character on a picture file: a glyph (28, 28), upright, bright on dark.

    The first frame counts. Raises PictureError when it is no picture, too large, or shows no character, and OSError
    when the path can't be read.
    """
    data = picture.read_bytes() if isinstance(picture, Path) else picture
    # One picture at a time, so that many large ones at once cost the memory of one.
    with _DECODING:
        image = _decode(data)
    return prepare(_grey(image))


def prepare(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Bring the character on a grey picture (height, width), dark on light or light on dark, to a glyph (28, 28).

    Raises PictureError when the array is no such picture or shows no character.
    """
    if grey.ndim != 2 or grey.dtype != np.uint8 or not grey.size:
        raise PictureError(f"A grey picture is a uint8 array of two dimensions, not {grey.dtype} {grey.shape}.")
    darkness = _darkness(_resize(grey.astype(np.float32), _reduced(grey.shape[1], grey.shape[0])))
    solid = darkness >= SOLID
    strokes = _strokes(solid)
    _erase(darkness, solid & ~strokes, strokes)
    return _frame(_even_pen(_close_up(darkness, strokes)))


# From a file to grey levels


def _decode(data: bytes) -> Image.Image:
    """Open and decode a picture, no longer side over LONGEST, as RGB, RGBA or floating point grey."""
    try:
        image: Image.Image = Image.open(BytesIO(data), formats=FORMATS)
        most = MOST_PIXELS_OF_JPEG if image.format == "JPEG" else MOST_PIXELS
        small_enough = image.width * image.height <= most
        if small_enough:
            image.draft(None, (LONGEST, LONGEST))
            image.load()
            image = _uniform(image)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        small_enough = False
    except Exception as error:  # Pillow's decoders raise whatever a damaged file provokes.
        raise PictureError(f"This is not a picture that can be read; send one of {', '.join(FORMATS)}.") from error
    if not small_enough:
        raise PictureError(
            f"The picture is too large: send one of at most {MOST_PIXELS // 1_000_000} million pixels, "
            f"or a JPEG of at most {MOST_PIXELS_OF_JPEG // 1_000_000} million."
        )
    return image


def _uniform(image: Image.Image) -> Image.Image:
    size = _reduced(image.width, image.height)
    if image.mode.startswith(("I", "F")):
        levels = np.array(image, np.float32)
        np.nan_to_num(levels, copy=False, posinf=0, neginf=0)
        levels = np.asarray(Image.fromarray(levels).resize(size, Image.Resampling.BOX))
        spread = max(float(levels.max() - levels.min()), 1e-6)
        return Image.fromarray(255 * ((levels - levels.min()) / spread))
    image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    return ImageOps.exif_transpose(image.resize(size, Image.Resampling.BOX, reducing_gap=2))


def _reduced(width: int, height: int) -> tuple[int, int]:
    """Return width and height such that neither is over LONGEST."""
    share = min(1.0, LONGEST / max(width, height))
    return max(1, round(width * share)), max(1, round(height * share))


def _grey(image: Image.Image) -> NDArray[np.uint8]:
    """Reduce colours to the one shade in which they differ most, so that red on green shows as black on white does."""
    levels = np.asarray(image, np.float32)
    if levels.ndim == 3:
        colours = levels if levels.shape[2] == 3 else _opaque(levels)
        spread = (colours - colours.mean(axis=(0, 1))).reshape(-1, 3)
        shade = np.linalg.eigh(spread.T @ spread)[1][:, -1]
        shade = shade / np.abs(shade).sum()
        levels = colours @ shade - 255 * np.minimum(shade, 0).sum()
    grey: NDArray[np.uint8] = levels.round().clip(0, 255).astype(np.uint8)
    return grey


def _opaque(levels: Floats) -> Floats:
    """Lay a picture (height, width, 4) with transparency on a ground on which it shows: (height, width, 3)."""
    colours, cover = levels[..., :3], levels[..., 3:] / 255
    solid = colours[cover[..., 0] > 0.5]
    if not len(solid):
        raise PictureError("The picture is blank: every pixel of it is transparent.")
    contrast = np.full(3, 0 if solid.mean() > 127 else 255)
    ground = np.median(solid, axis=0) if len(solid) > cover.size / 2 else contrast
    laid: Floats = (colours * cover + ground * (1 - cover)).astype(np.float32)
    return laid


# From grey levels to ink


def _darkness(grey: Floats) -> Floats:
    """Tell how much each pixel is ink: 0 on the paper, 1 in a stroke, whichever of them is the darker.

    Raises PictureError when nothing stands out from the paper.
    """
    difference = grey - _paper(grey)
    noise = 1.4826 * float(np.median(np.abs(difference)))
    floor = max(FAINTEST / 2, 4 * min(noise, 12.0))
    below, above = float((difference.clip(max=0) ** 2).sum()), float((difference.clip(min=0) ** 2).sum())
    ink = np.abs(difference) if below == above else difference * (1 if above > below else -1)
    inked = ink[ink > floor]
    full = float(np.percentile(inked, 80)) if inked.size else 0.0
    if full < max(FAINTEST, floor * 1.25):
        raise PictureError(_BLANK)
    darkness: Floats = ((ink - floor) / (full - floor)).clip(0, 1).astype(np.float32)
    return darkness


def _paper(grey: Floats) -> Floats:
    """Estimate the paper under the ink: a quadratic surface through the pixels that are not ink, by trimming."""
    height, width = grey.shape
    small = _resize(grey, (min(width, 48), min(height, 48)))
    y, x = (axis.ravel() for axis in np.meshgrid(*map(_axis, small.shape), indexing="ij"))
    terms = np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)
    levels = small.ravel()
    surface = np.full_like(levels, np.median(levels))
    coefficients = np.zeros(6)
    for degree in (3, 3, 3, 6, 6, 6):  # A plane first: a curved surface could follow the strokes themselves.
        away = np.abs(levels - surface)
        near = away <= max(4.0, 3 * float(np.median(away)))
        some = terms[near, :degree].astype(np.float64)
        ridge = 1e-6 * len(some) * np.eye(degree)  # Keeps a picture of one row or column solvable.
        coefficients[:degree] = np.linalg.solve(some.T @ some + ridge, some.T @ levels[near])
        surface = (terms @ coefficients).astype(np.float32)
    level, right, down, bend, twist, sag = coefficients.astype(np.float32)
    x, y = _axis(width), _axis(height)[:, None]
    paper: Floats = (level + right * x + bend * x * x) + (down * y + sag * y * y) + twist * x * y
    return paper


def _axis(length: int) -> Floats:
    """Return the middles of ``length`` pixels that together span -1 to 1."""
    return ((2 * np.arange(length) + 1) / length - 1).astype(np.float32)


# From ink to the strokes of the character


@dataclass(frozen=True)
class _Parts:
    """Connected parts of a mask: each pixel's row, column and part, and each part's box as first and last pixel."""

    rows: NDArray[np.intp]
    columns: NDArray[np.intp]
    part: NDArray[np.intp]
    areas: NDArray[np.intp]
    low: NDArray[np.intp]
    high: NDArray[np.intp]

    @property
    def sides(self) -> NDArray[np.intp]:
        """Height and width of each part: (n, 2)."""
        return self.high - self.low + 1


def _strokes(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Keep the parts of a mask that belong to the character: no specks, no frame around it, no rule beside it.

    Raises PictureError when nothing is left that could be a character.
    """
    if not mask.any():
        raise PictureError(_BLANK)
    parts = _parts(mask)
    rules = _rules(parts, mask.shape)
    if rules.any() and parts.sides[~rules].max(initial=0) >= 0.15 * min(mask.shape):
        keep = ~rules
    else:
        keep = np.ones(len(parts.areas), bool)
    largest = int(np.argmax(parts.areas * keep))
    if parts.sides[largest].max() < max(SMALLEST, 0.02 * max(mask.shape)):
        raise PictureError(_BLANK)
    keep &= _belongs(parts, largest)
    kept = np.zeros_like(mask)
    shown = keep[parts.part]
    kept[parts.rows[shown], parts.columns[shown]] = True
    return kept


def _erase(darkness: Floats, dropped: NDArray[np.bool_], strokes: NDArray[np.bool_]) -> None:
    """Take what was dropped out of ``darkness``, with its soft edges, but nothing that belongs to the strokes."""
    if dropped.any():
        around = np.asarray(Image.fromarray(dropped).convert("L").filter(ImageFilter.MaxFilter(5)), bool)
        darkness[around & ~strokes] = 0


def _rules(parts: _Parts, shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """Tell which parts are a frame, or a line along an edge of the picture: nothing but straight lines at a border."""
    size = np.array(shape)
    band = np.maximum(2, 0.06 * size)
    place = np.stack([parts.rows, parts.columns], axis=1)
    depth = np.minimum(place - parts.low[parts.part], parts.high[parts.part] - place)
    at_border = (depth <= band).any(axis=1)
    hollow = np.bincount(parts.part[at_border], minlength=len(parts.areas)) >= 0.95 * parts.areas
    frame = hollow & (parts.sides >= 0.6 * size).all(axis=1)
    outside = (parts.high < 0.12 * size) | (parts.low > 0.88 * size - 1)
    # Thinner than any pen that fills a picture, or a tightly cropped T would lose its bar.
    thin = parts.areas[:, None] / parts.sides <= np.maximum(1, 0.025 * size[::-1])
    line = ((parts.sides >= 0.6 * size) & thin & outside[:, ::-1]).any(axis=1)
    found: NDArray[np.bool_] = frame | line
    return found


def _belongs(parts: _Parts, largest: int) -> NDArray[np.bool_]:
    """Tell which parts are of one character with the largest: the large ones, and the less small the farther away."""
    apart = np.maximum(parts.low - parts.high[largest], parts.low[largest] - parts.high).max(axis=1)
    distance = apart.clip(min=0) / parts.sides[largest].max()
    share = parts.areas / parts.areas[largest]
    enough: NDArray[np.bool_] = share >= np.where(distance < 0.6, 0.025, 0.15)
    return enough


def _parts(mask: NDArray[np.bool_]) -> _Parts:
    """Find the parts of a mask that hang together, corners included, by joining the runs of neighbouring rows."""
    height, width = mask.shape
    stride = width + 2
    edges = np.diff(np.pad(mask, ((0, 0), (1, 1))).astype(np.int8), axis=1)
    row, start = np.nonzero(edges == 1)
    stop = np.nonzero(edges == -1)[1]
    # Of the row below, every run from the first that ends at or after our start to the last that starts by our stop.
    first = np.searchsorted(row * stride + stop, (row + 1) * stride + start, "left")
    last = np.searchsorted(row * stride + start, (row + 1) * stride + stop, "right")
    counts = last - first
    above = np.repeat(np.arange(len(row)), counts)
    below = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts) + np.repeat(first, counts)
    part = _join(len(row), above, below)
    lengths = stop - start
    part = np.repeat(part, lengths)
    rows, columns = np.nonzero(mask)
    place = np.stack([rows, columns], axis=1)
    low = np.full((part.max() + 1, 2), max(height, width))
    high = np.zeros_like(low)
    np.minimum.at(low, part, place)
    np.maximum.at(high, part, place)
    return _Parts(rows, columns, part, np.bincount(part), low, high)


def _join(count: int, one: NDArray[np.intp], other: NDArray[np.intp]) -> NDArray[np.intp]:
    """Number the connected groups of ``count`` things, of which each of ``one`` touches its peer in ``other``."""
    group = np.arange(count)
    while (group[one] != group[other]).any():
        lower = np.minimum(group[one], group[other])
        np.minimum.at(group, group[one], lower)
        np.minimum.at(group, group[other], lower)
        while (group[group] != group).any():
            group = group[group]
    return np.unique(group, return_inverse=True)[1]


# From strokes to the glyph


def _close_up(darkness: Floats, strokes: NDArray[np.bool_]) -> Image.Image:
    """Crop to the strokes and their soft edges, at FINE pixels per pixel of the glyph."""
    rows, columns = np.flatnonzero(strokes.any(axis=1)), np.flatnonzero(strokes.any(axis=0))
    top, bottom, left, right = (int(edge) for edge in (rows[0], rows[-1] + 1, columns[0], columns[-1] + 1))
    unit = max(bottom - top, right - left) / (SIDE - 2 * MARGIN)
    room = int(np.ceil(EDGE * unit))
    box = (left, top, right + 2 * room, bottom + 2 * room)  # Seen from the corner of the padded layers.
    width, height = ((box[2] - left) / unit, (box[3] - top) / unit)
    size = (round(width * FINE), round(height * FINE))
    ink, around = (Image.fromarray(np.pad(255 * layer.astype(np.float32), room)) for layer in (darkness, strokes))
    ink = ink.resize(size, Image.Resampling.BICUBIC, box).convert("L")
    around = around.resize((round(width), round(height)), Image.Resampling.BOX, box).convert("L").point(_ANY)
    near = around.filter(ImageFilter.MaxFilter(2 * EDGE + 1)).resize(size, Image.Resampling.BILINEAR)
    return ImageOps.autocontrast(ImageChops.multiply(ink, near))


def _even_pen(ink: Image.Image) -> Image.Image:
    """Thicken hair lines and thin blunt markers until the strokes are as wide as EMNIST's."""
    width = _stroke_width(np.asarray(ink, np.float32)) / FINE
    for _ in range(round((THIN - width) * FINE / 2)):
        ink = ImageOps.expand(ink, 1).filter(ImageFilter.MaxFilter(3))
    for _ in range(round(min(width - THICK, 0.6 * width) * FINE / 2)):
        ink = ink.filter(ImageFilter.MinFilter(3))
    return ImageOps.autocontrast(ink, cutoff=(0, 2))  # A hair line must not stay grey for one dark crossing.


def _stroke_width(ink: Floats) -> float:
    """Return twice the ink's area over the length of its outline, which the gradient sums up."""
    padded = np.pad(ink, 1)
    down, across = np.diff(padded, axis=0)[:, 1:], np.diff(padded, axis=1)[1:]
    return float(2 * ink.sum() / np.hypot(down, across).sum())


def _frame(ink: Image.Image) -> NDArray[np.uint8]:
    """Centre the ink in a square as EMNIST does, blur it and shrink it to the glyph."""
    box = ink.point(_CROPPED).getbbox()
    ink = ink.crop(box)
    side = max(ink.size) * SIDE / (SIDE - 2 * MARGIN)
    square = Image.new("L", (round(side), round(side)))
    square.paste(ink, ((square.width - ink.width) // 2, (square.height - ink.height) // 2))
    square = square.filter(ImageFilter.GaussianBlur(side / 128))
    return np.array(square.resize((SIDE, SIDE), Image.Resampling.BICUBIC))


def _resize(levels: Floats, size: tuple[int, int]) -> Floats:
    """Average a picture (height, width) down to ``size`` (width, height)."""
    if size == levels.shape[::-1]:
        return levels
    return np.asarray(Image.fromarray(levels).resize(size, Image.Resampling.BOX))
