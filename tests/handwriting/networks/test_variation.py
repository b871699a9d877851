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
