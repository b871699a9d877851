"""Variation of the glyphs that a network learns from: batches of tensors in, batches of tensors out."""

import torch
from torch import Tensor, nn

SIDE = 28
KNOTS = 5
"""Places along each side of a picture that are pulled about; what lies between them follows smoothly."""

PULL = 0.7
"""How far a knot is pulled either way: the standard deviation, in pixels."""


THICKER, THINNER = 0.6, 0.5
"""How far strokes go, at most, towards a pen that is two pixels wider, or narrower."""


def varied(images: Tensor, generator: torch.Generator) -> Tensor:
    """Turn, stretch, slant, shift and bend each of ``images`` ``(n, 1, 28, 28)`` a little, and change its pen."""
    return _with_other_pens(_moved(images, generator), generator)


def _moved(images: Tensor, generator: torch.Generator) -> Tensor:
    count, device = len(images), images.device

    def between(reach: float) -> Tensor:
        return torch.empty(count, device=device).uniform_(-reach, reach, generator=generator)

    angle, slant = between(0.2), between(0.2)  # radians; share of the height
    wide, high = 1 + between(0.15), 1 + between(0.15)
    right, down = between(0.12), between(0.12)  # in half pictures: 0.12 is 1.7 pixels
    cosine, sine = angle.cos(), angle.sin()
    across = torch.stack([wide * cosine, wide * (slant * cosine - sine), right], dim=1)
    along = torch.stack([high * sine, high * (slant * sine + cosine), down], dim=1)
    grid = nn.functional.affine_grid(torch.stack([across, along], dim=1), [count, 1, SIDE, SIDE], align_corners=False)
    return nn.functional.grid_sample(images, grid + _bent(count, device, generator), align_corners=False)


def _bent(count: int, device: torch.device, generator: torch.Generator) -> Tensor:
    """Return by how much each place of ``count`` pictures is displaced, ``(n, 28, 28, 2)``, in half pictures."""
    knots = torch.randn(count, 2, KNOTS, KNOTS, device=device, generator=generator) * (PULL * 2 / SIDE)
    places = nn.functional.interpolate(knots, size=(SIDE, SIDE), mode="bicubic", align_corners=True)
    return places.permute(0, 2, 3, 1)


def _with_other_pens(images: Tensor, generator: torch.Generator) -> Tensor:
    """Make the strokes of each picture thicker or thinner, each by its own share."""
    share = torch.empty(len(images), 1, 1, 1, device=images.device).uniform_(-1, 1, generator=generator)
    wide, narrow = nn.functional.max_pool2d(images, 3, 1, 1), -nn.functional.max_pool2d(-images, 3, 1, 1)
    thicker, thinner = THICKER * share.clamp(min=0), THINNER * (-share).clamp(min=0)
    return images + thicker * (wide - images) + thinner * (narrow - images)
