import pytest
import torch

from handwriting.networks.variation import varied

pytestmark = pytest.mark.training


@pytest.fixture
def images() -> torch.Tensor:
    images = torch.zeros(50, 1, 28, 28)
    images[:, :, 8:20, 12:16] = 1
    return images


def test_it_keeps_shape_range_and_most_of_the_ink(images: torch.Tensor) -> None:
    changed = varied(images, torch.Generator().manual_seed(0))
    assert changed.shape == images.shape
    assert 0 <= changed.min() <= changed.max() <= 1
    assert not torch.allclose(changed[0], changed[1])
    assert 0.75 < changed.sum() / images.sum() < 1.3


def test_it_bends_what_is_straight() -> None:
    lines = torch.zeros(50, 1, 28, 28)
    lines[:, :, :, 14] = 1
    changed = varied(lines, torch.Generator().manual_seed(0))[:, 0, 4:24]
    centres = (changed * torch.arange(28)).sum(2) / changed.sum(2)  # (n, 20): where the line is in each row
    rows = torch.stack([torch.ones(20), torch.arange(20.0)], dim=1)
    straight = rows @ torch.linalg.lstsq(rows, centres.T).solution
    assert (centres.T - straight).abs().mean() > 0.1, "no straight line goes through its pixels"


def test_pens_differ() -> None:
    crosses = torch.zeros(200, 1, 28, 28)
    crosses[:, :, 4:24, 13:15], crosses[:, :, 13:15, 4:24] = 1, 1
    ink = varied(crosses, torch.Generator().manual_seed(0)).sum((1, 2, 3)) / crosses[0].sum()
    assert 0.3 < ink.min() < 0.8, "thin"
    assert 1.5 < ink.max() < 2.2, "thick"


def test_the_same_generator_varies_alike(images: torch.Tensor) -> None:
    one, same, other = (varied(images, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
