"""Picture files → grey levels."""

from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from handwriting.preprocessing.errors import PictureError
from handwriting.preprocessing.levels import LONGEST, Floats, reduced

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF")
MOST_PIXELS = 10_000_000
MOST_PIXELS_OF_JPEG = 25_000_000
"""A JPEG is decoded at a lower resolution, so a large photograph costs no more memory than a small picture."""


def decode(data: bytes) -> Image.Image:
    """Open and decode a picture, no longer side over LONGEST, as RGB, RGBA or floating point grey.

    Raises PictureError when it is no picture, a damaged or a huge one, or when there are several in the file.
    """
    if not data:
        raise PictureError("The file is empty: this is not a picture.")
    try:
        image: Image.Image = Image.open(BytesIO(data), formats=FORMATS)
        # A phone may add what its camera knows of depth or light to a JPEG as a second picture, then called MPO.
        photo = image.format in {"JPEG", "MPO"}
        small_enough = image.width * image.height <= (MOST_PIXELS_OF_JPEG if photo else MOST_PIXELS)
        several = small_enough and not photo and _holds_another(image)
        if small_enough and not several:
            image.draft(None, (LONGEST, LONGEST))
            image.load()
            image = _uniform(image)
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        small_enough = several = False
    except Exception as error:  # Pillow's decoders raise whatever a damaged file provokes.
        raise PictureError(f"This is not a picture that can be read; send one of {', '.join(FORMATS)}.") from error
    if several:
        raise PictureError("The file holds several pictures, an animation or pages: send one picture.")
    if not small_enough:
        raise PictureError(
            f"The picture is too large: send one of at most {MOST_PIXELS // 1_000_000} million pixels, "
            f"or a JPEG of at most {MOST_PIXELS_OF_JPEG // 1_000_000} million."
        )
    return image


def _holds_another(image: Image.Image) -> bool:
    # Counting them all would let a file of many tiny ones take long.
    try:
        image.seek(1)
    except EOFError:
        return False
    return True


def _uniform(image: Image.Image) -> Image.Image:
    size = reduced(image.width, image.height)
    if image.mode.startswith(("I", "F")):
        levels = np.array(image, np.float32)
        np.nan_to_num(levels, copy=False, posinf=0, neginf=0)
        levels = np.asarray(Image.fromarray(levels).resize(size, Image.Resampling.BOX))
        spread = max(float(levels.max() - levels.min()), 1e-6)
        return Image.fromarray(255 * ((levels - levels.min()) / spread))
    image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    return ImageOps.exif_transpose(image.resize(size, Image.Resampling.BOX, reducing_gap=2))


def to_grey(image: Image.Image) -> NDArray[np.uint8]:
    """Reduce colours to the one shade in which they differ most, so that red on green shows as black on white does."""
    levels = np.asarray(image, np.float32)
    if levels.ndim == 3:
        colours = levels if levels.shape[2] == 3 else _opaque(levels)
        spread = (colours - colours.mean(axis=(0, 1))).reshape(-1, 3)
        shade = np.linalg.eigh(spread.T @ spread)[1][:, -1]
        # What is brighter stays brighter, since light works on that.
        shade = shade / np.abs(shade).sum() * (1 if shade.sum() >= 0 else -1)
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
