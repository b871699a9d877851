"""What a character can be written with and on, and what can happen to the page before it is a picture file."""

from dataclasses import dataclass, replace
from io import BytesIO

import numpy as np
from drawing_sources import FINE, SIDE, Character
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

Floats = NDArray[np.float32]
Colour = tuple[int, int, int]
Span = tuple[float, float]


@dataclass(frozen=True)
class Look:
    """A page and a pen. Spans are drawn from; lengths in shares of the character's square unless told otherwise."""

    pixels: Span = (280, 280)
    "The shorter side of the picture."
    shape: float = 1.0
    "The longer side over the shorter."
    fill: Span = (0.85, 0.85)
    "The character's square as a share of the picture's shorter side."
    anywhere: bool = False
    "Not in the middle."
    turn: float = 0.0
    "Degrees, at most, either way."
    pen: Span | None = None
    "Width of the strokes; None leaves them as they were."
    ink: Colour = (0, 0, 0)
    paper: Colour = (255, 255, 255)
    clear: bool = False
    "Transparent paper."
    dry: float = 0.0
    "How much the ink thins out in places, as a pencil's does."
    rules: str = ""
    "lined, squared, baseline, frame, box."
    rule_colour: Colour = (120, 150, 200)
    light: float = 0.0
    "How much darker the darkest corner is."
    shadow: float = 0.0
    "How much darker it is on one side of an edge."
    texture: float = 0.0
    "Grey levels by which paper fibres differ."
    noise: float = 0.0
    "Grey levels of a sensor's noise."
    specks: int = 0
    blur: float = 0.0
    "Radius, as a share of the picture's shorter side in 280ths."
    jpeg: int = 0
    "Quality; 0 is a PNG."


PLAIN = Look()
PENCIL = Look(
    pixels=(400, 800), fill=(0.5, 0.8), anywhere=True, turn=5, pen=(0.022, 0.04), ink=(95, 95, 100),
    paper=(236, 233, 224), dry=0.35, light=0.3, texture=4, noise=4, blur=0.4, jpeg=70,
)  # fmt: skip
PHOTO = replace(PENCIL, ink=(25, 35, 90), pen=(0.03, 0.06), dry=0.1)

PLAIN_LOOKS = {
    "scan": PLAIN,
    "light on dark": Look(ink=(245, 245, 245), paper=(20, 25, 20)),
    "blue on cream": Look(ink=(40, 60, 180), paper=(250, 240, 210)),
    "red on green": Look(ink=(190, 50, 50), paper=(110, 170, 110)),
    "grey on grey": Look(ink=(120, 120, 120), paper=(165, 165, 165)),
    "transparent": Look(clear=True),
    "transparent, white ink": Look(clear=True, ink=(255, 255, 255)),
    "28 pixels": Look(pixels=(28, 28), fill=(1, 1)),
    "20 pixels": Look(pixels=(20, 20), fill=(1, 1)),
    "2,000 pixels": Look(pixels=(2000, 2000)),
    "tiny in a corner": Look(pixels=(280, 280), fill=(0.16, 0.25), anywhere=True),
    "wide page": Look(pixels=(300, 300), shape=3, fill=(0.5, 0.9), anywhere=True),
    "drawn anew": Look(pen=(0.1, 0.1)),
    "hair line": Look(pen=(0.004, 0.008)),
    "tablet": Look(pen=(0.012, 0.03)),
    "marker": Look(pen=(0.14, 0.19)),
    "turned": Look(turn=5),
    "specks": Look(specks=25),
    "frame": Look(rules="frame", fill=(0.7, 0.75)),
    "writing line": Look(rules="baseline", fill=(0.7, 0.8)),
    "uneven light": Look(light=0.5, paper=(240, 238, 230), ink=(40, 40, 50)),
    "paper": Look(texture=8, noise=5, paper=(235, 228, 210), ink=(40, 40, 60)),
    "JPEG of quality 40": Look(jpeg=40),
    "blurred": Look(blur=3),
}  # fmt: skip
HARSH_LOOKS = {
    "pencil photographed": PENCIL,
    "pencil on lined paper": replace(PENCIL, rules="lined"),
    "pencil on squared paper": replace(PENCIL, rules="squared"),
    "ballpoint on squared paper": replace(PHOTO, rules="squared"),
    "ballpoint, shadow": replace(PHOTO, shadow=0.35),
    "box of a form": replace(PHOTO, rules="box", rule_colour=(30, 30, 30), fill=(0.45, 0.55), jpeg=40),
    "marker, specks, light": Look(
        pen=(0.13, 0.18), specks=25, light=0.4, texture=6, noise=5, turn=5, jpeg=40, ink=(180, 30, 40), anywhere=True,
        fill=(0.4, 0.7),
    ),
    "chalk": Look(
        pixels=(400, 900), pen=(0.03, 0.07), ink=(225, 225, 215), paper=(45, 70, 55), dry=0.5, light=0.3, texture=8,
        noise=5, blur=0.4, jpeg=60, turn=5, anywhere=True, fill=(0.4, 0.8),
    ),
    "small, JPEG of quality 40": Look(pixels=(36, 48), fill=(0.8, 0.95), jpeg=40, noise=4, ink=(50, 50, 60)),
    "receipt": Look(
        pixels=(120, 200), ink=(110, 100, 120), paper=(225, 222, 228), noise=8, light=0.25, blur=1.5, jpeg=40, turn=5,
        fill=(0.6, 0.9), dry=0.3,
    ),
}  # fmt: skip
LOOKS = PLAIN_LOOKS | HARSH_LOOKS


def draw(character: Character, look: Look, rng: np.random.Generator) -> bytes:
    """Return the file of a picture of the character."""
    short = round(rng.uniform(*look.pixels))
    size = (round(short * look.shape), short)
    cover = _ink(character, look, size, rng)
    if look.clear:
        layer = np.empty((*cover.shape, 4), np.uint8)
        layer[..., :3], layer[..., 3] = look.ink, 255 * cover
        return _encode(Image.fromarray(layer), look)
    if look == replace(PLAIN, pixels=look.pixels, shape=look.shape, fill=look.fill, pen=look.pen):
        return _encode(Image.fromarray((255 - 255 * cover).astype(np.uint8)), look)  # Much the same, much sooner.
    page = np.ones((*cover.shape, 3), np.float32) * np.array(look.paper, np.float32)
    if look.texture:
        page += _grain(cover.shape, 1.2, rng)[..., None] * look.texture
    if look.rules:
        rules = _rules(look, cover.shape, rng)[..., None]
        page = page * (1 - rules) + rules * np.array(look.rule_colour, np.float32)
    cover = np.maximum(cover, _specks(look.specks, cover.shape, rng))[..., None]
    page = page * (1 - cover) + cover * np.array(look.ink, np.float32)
    page *= _light(look, cover.shape[:2], rng)[..., None]
    if look.blur:
        page = ndimage.gaussian_filter(page, (look.blur * short / 280,) * 2 + (0,))
    if look.noise:
        page += rng.normal(0, look.noise, page.shape[:2])[..., None]
    return _encode(Image.fromarray(page.clip(0, 255).astype(np.uint8)), look)


def _encode(image: Image.Image, look: Look) -> bytes:
    file = BytesIO()
    if look.jpeg:
        image.save(file, "JPEG", quality=look.jpeg)
    else:
        image.save(file, "PNG", compress_level=1)
    return file.getvalue()


def _ink(character: Character, look: Look, size: tuple[int, int], rng: np.random.Generator) -> Floats:
    """Return how much of each pixel is ink: (height, width), 0 to 1."""
    side = rng.uniform(*look.fill) * size[1]
    middle = np.array(size) / 2
    if look.anywhere:
        room = np.maximum(middle - side / 2 - 1, 0)
        middle = middle + rng.uniform(-room, room)
    turn = np.radians(rng.uniform(-look.turn, look.turn))
    scale = SIDE * FINE / side  # Points of the field a pixel.
    across, down = scale * np.cos(turn), scale * np.sin(turn)
    start = SIDE * FINE / 2 - np.array([across * middle[0] + down * middle[1], across * middle[1] - down * middle[0]])
    field = character.outline if look.pen is None else character.path
    matrix = (across, down, start[0], -down, across, start[1])
    how = Image.Resampling.BILINEAR
    away = np.asarray(Image.fromarray(field).transform(size, Image.Transform.AFFINE, matrix, how, fillcolor=99))
    reach = 0.0 if look.pen is None else rng.uniform(*look.pen) * SIDE / 2
    cover: Floats = (0.5 + (reach - away) * side / SIDE).clip(0, 1)
    if look.dry:
        fibres = _grain(cover.shape, max(0.6, size[1] / 500), rng)
        cover = cover * (1 - look.dry * np.abs(fibres)).clip(0.15, 1)
    return np.asarray(cover, np.float32)


def _grain(shape: tuple[int, ...], size: float, rng: np.random.Generator) -> Floats:
    grain = ndimage.gaussian_filter(rng.normal(0, 1, shape), size)
    return np.asarray(grain / grain.std(), np.float32)


def _rules(look: Look, shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
    """Return how much of each pixel is a printed line."""
    short = min(shape)
    turn = np.radians(rng.uniform(-look.turn, look.turn) / 2)
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    x, y = x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)
    half = max(0.4, short / 400)
    if look.rules in {"lined", "squared"}:
        step = short * rng.uniform(0.22, 0.4)
        start = rng.uniform(0, step, 2)
        away = np.abs((y - start[0]) % step - step / 2)
        if look.rules == "squared":
            away = np.minimum(away, np.abs((x - start[1]) % step - step / 2))
    elif look.rules == "baseline":
        away = np.abs(y - shape[0] * rng.uniform(0.93, 0.97))
    elif look.rules in {"frame", "box"}:
        edge = short * (rng.uniform(0.02, 0.06) if look.rules == "frame" else rng.uniform(0.14, 0.18))
        beyond = np.maximum(np.abs(x - shape[1] / 2) - shape[1] / 2, np.abs(y - shape[0] / 2) - shape[0] / 2)
        away = np.abs(beyond + edge)
    else:
        return np.zeros(shape, np.float32)
    return np.asarray((0.5 + half - away).clip(0, 1), np.float32)


def _specks(count: int, shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
    cover = np.zeros(shape, np.float32)
    y, x = np.ogrid[: shape[0], : shape[1]]
    for _ in range(count):
        away = np.hypot(x - rng.uniform(0, shape[1]), y - rng.uniform(0, shape[0]))
        cover = np.maximum(cover, (0.5 + rng.uniform(0.3, 2.0) * min(shape) / 280 - away).clip(0, 1))
    return cover


def _light(look: Look, shape: tuple[int, ...], rng: np.random.Generator) -> Floats:
    y, x = (np.linspace(-1, 1, length, dtype=np.float32) for length in shape)
    turn = rng.uniform(0, 2 * np.pi)
    along = np.cos(turn) * x + np.sin(turn) * y[:, None]
    light = 1 - look.light * ((along + 1.5) / 3) ** 1.5
    if look.shadow:
        edge = rng.uniform(-0.5, 0.5)
        light *= 1 - look.shadow / (1 + np.exp(-(along - edge) * 60))
    return np.asarray(light, np.float32)
