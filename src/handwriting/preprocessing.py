"""Any drawing or scan of one character → a glyph as EMNIST made its own.

EMNIST (Cohen et al. 2017, https://arxiv.org/abs/1702.05373, section II-A) blurs the 128×128 scan of a character, crops
it to its ink, centres it in a square with a margin of two pixels and shrinks it to 28×28 by bicubic interpolation. The
steps before that are ours: they find the ink on whatever paper or canvas it stands on.
"""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter, ImageOps

SIDE = 28
MARGIN = 2
FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
MOST_PIXELS = 25_000_000
LONGEST = 640
"""Pixels to which the longer side of a picture is reduced before it is examined."""

FAINTEST = 14.0
"""Grey levels by which ink must differ from paper."""
SOLID = 0.4
"""Darkness from which a pixel belongs to a stroke; below it is the stroke's soft edge."""

FINE = 4
"""Pixels per pixel of the glyph while the strokes' width is corrected."""
THIN, THICK = 2.0, 4.4
"""Widths of stroke, in pixels of the glyph, between which nine tenths of EMNIST lie (its median is 2.9)."""
THIN_TARGET, THICK_TARGET = 2.7, 3.6

Floats = NDArray[np.float32]


class PictureError(ValueError):
    """The picture can't be read as one character; the message tells its sender why."""


def read(picture: bytes | Path) -> NDArray[np.uint8]:
    """Read the character on a picture file: a glyph (28, 28), upright, bright on dark.

    The first frame counts. Raises PictureError when it is no picture, too large, or shows no character, and OSError
    when the path can't be read.
    """
    data = picture.read_bytes() if isinstance(picture, Path) else picture
    return prepare(_grey(_decode(data)))


def prepare(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Bring the character on a grey picture (height, width), dark on light or light on dark, to a glyph (28, 28).

    Raises PictureError when the array is no such picture or shows no character.
    """
    if grey.ndim != 2 or grey.dtype != np.uint8 or not grey.size:
        raise PictureError(f"A grey picture is a uint8 array of two dimensions, not {grey.dtype} {grey.shape}.")
    darkness = _darkness(_resize(grey.astype(np.float32), _reduced(grey.shape[1], grey.shape[0])))
    strokes = _strokes(darkness >= SOLID)
    if not strokes.any():
        raise PictureError("The picture is blank: draw one character, in a colour that stands out.")
    ink = _close_up(darkness, strokes)
    return _frame(_even_pen(ink))


# From a file to grey levels


def _decode(data: bytes) -> Image.Image:
    """Open and decode a picture, no longer side over LONGEST, as RGB, RGBA or floating point grey."""
    try:
        image = Image.open(BytesIO(data), formats=FORMATS)
        if image.width * image.height > MOST_PIXELS:
            raise _too_large()
        image.draft(None, (LONGEST, LONGEST))
        image.load()
        return _uniform(image)
    except PictureError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise _too_large() from error
    except Exception as error:  # noqa: BLE001 - Pillow's decoders raise whatever a damaged file provokes.
        raise PictureError(f"This is not a picture that can be read; send one of {', '.join(FORMATS)}.") from error


def _too_large() -> PictureError:
    return PictureError(f"The picture is too large: send one of at most {MOST_PIXELS // 1_000_000} million pixels.")


def _uniform(image: Image.Image) -> Image.Image:
    size = _reduced(image.width, image.height)
    if image.mode.startswith(("I", "F")):
        levels = np.nan_to_num(np.asarray(image, np.float32), posinf=0, neginf=0)
        spread = max(float(levels.max() - levels.min()), 1e-6)
        return Image.fromarray(255 * ((levels - levels.min()) / spread)).resize(size, Image.Resampling.BOX)
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
    if len(solid) > cover.size / 2:
        ground = np.median(solid, axis=0)
    else:
        ground = np.full(3, 0 if solid.mean() > 127 else 255)
    laid: Floats = colours * cover + ground.astype(np.float32) * (1 - cover)
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
        raise PictureError("The picture is blank: draw one character, in a colour that stands out.")
    darkness: Floats = ((ink - floor) / (full - floor)).clip(0, 1).astype(np.float32)
    return darkness


def _paper(grey: Floats) -> Floats:
    """Estimate the paper under the ink: a quadratic surface through the pixels that are not ink, by trimming."""
    height, width = grey.shape
    small = _resize(grey, (min(width, 48), min(height, 48)))
    terms = _surface(small.shape[1], small.shape[0])
    levels = small.ravel()
    surface = np.full_like(levels, np.median(levels))
    coefficients = np.array([surface[0], 0, 0, 0, 0, 0], np.float32)
    for degree in (3, 3, 3, 6, 6, 6):  # A plane first: a curved surface could follow the strokes themselves.
        away = np.abs(levels - surface)
        near = away <= max(4.0, 3 * float(np.median(away)))
        coefficients = np.zeros(6, np.float32)
        coefficients[:degree] = np.linalg.lstsq(terms[near, :degree], levels[near], rcond=1e-4)[0]
        surface = terms @ coefficients
    return (_surface(width, height) @ coefficients).reshape(height, width)


def _surface(width: int, height: int) -> Floats:
    """Return 1, x, y, x², xy, y² of every pixel, x and y running from -1 to 1: (height * width, 6)."""
    y, x = (axis.ravel() for axis in np.meshgrid(_axis(height), _axis(width), indexing="ij"))
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)


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
    """Keep the parts of a mask that belong to the character: no specks, no frame around it, no rule beside it."""
    if not mask.any():
        return mask
    parts = _parts(mask)
    rules = _rules(parts, mask.shape)
    if rules.any() and parts.sides[~rules].max(initial=0) >= 0.15 * min(mask.shape):
        keep = ~rules
    else:
        keep = np.ones(len(parts.areas), bool)
    keep &= _belongs(parts, int(np.argmax(parts.areas * keep)))
    kept = np.zeros_like(mask)
    shown = keep[parts.part]
    kept[parts.rows[shown], parts.columns[shown]] = True
    return kept


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
    line = (outside & (parts.sides >= 0.95 * size)[:, ::-1]).any(axis=1)
    return frame | line


def _belongs(parts: _Parts, largest: int) -> NDArray[np.bool_]:
    """Tell which parts are of one character with the largest: the large ones, and the less small the farther away."""
    apart = np.maximum(parts.low - parts.high[largest], parts.low[largest] - parts.high).max(axis=1)
    distance = apart.clip(min=0) / parts.sides[largest].max()
    share = parts.areas / parts.areas[largest]
    return share >= np.where(distance < 0.6, 0.025, 0.15)


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
    """Crop to the strokes and their soft edges, FINE times the size of the glyph, longest side first."""
    rows, columns = np.flatnonzero(strokes.any(axis=1)), np.flatnonzero(strokes.any(axis=0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    unit = max(bottom - top, right - left) / (SIDE - 2 * MARGIN)
    box = (left - unit, top - unit, right + unit, bottom + unit)
    room = int(np.ceil(unit)) + 1
    box = tuple(edge + room for edge in box)
    size = tuple(max(1, round((box[i + 2] - box[i]) / unit * FINE)) for i in (0, 1))
    ink, near = (
        Image.fromarray(np.pad(255 * layer.astype(np.float32), room))
        .resize(size, Image.Resampling.BICUBIC, box)
        .point(lambda level: level * 1 + 0)
        .convert("L")
        for layer in (darkness, strokes)
    )
    near = near.filter(ImageFilter.MaxFilter(2 * FINE + 1))
    return Image.fromarray(np.where(np.asarray(near) > 100, np.asarray(ink), 0).astype(np.uint8))


def _even_pen(ink: Image.Image) -> Image.Image:
    """Thicken hair lines and thin blunt markers until the strokes are as wide as EMNIST's."""
    width = _stroke_width(np.asarray(ink, np.float32) / 255) / FINE
    if width < THIN:
        for _ in range(round((THIN_TARGET - width) * FINE / 2)):
            ink = ImageOps.expand(ink, 1).filter(ImageFilter.MaxFilter(3))
        return ImageOps.autocontrast(ink)
    if width > THICK:
        for _ in range(round(min(width - THICK_TARGET, 0.6 * width) * FINE / 2)):
            ink = ink.filter(ImageFilter.MinFilter(3))
    return ink


def _stroke_width(ink: Floats) -> float:
    """Return twice the ink's area over the length of its outline, which the gradient sums up."""
    padded = np.pad(ink, 1)
    down, across = np.diff(padded, axis=0)[:, 1:], np.diff(padded, axis=1)[1:]
    return float(2 * ink.sum() / np.hypot(down, across).sum())


def _frame(ink: Image.Image) -> NDArray[np.uint8]:
    """Centre the ink in a square as EMNIST does, blur it and shrink it to the glyph."""
    box = ink.point(lambda level: 255 * (level > 25)).getbbox()
    assert box
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
