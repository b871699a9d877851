import subprocess
import sys

import pytest
import torch

from handwriting.networks import NAMES
from handwriting.networks.architectures import ARCHITECTURES, parameter_count

pytestmark = pytest.mark.training
ORIGINALS = ("nn", "dnn", "cnn1", "cnn2")


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_it_gives_a_logit_for_each_class(name: str) -> None:
    network = ARCHITECTURES[name](47).eval()
    assert network(torch.rand(2, 1, 28, 28)).shape == (2, 47)


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("nn", 785 * 10_000 + 10_001 * 47),
        ("dnn", 785 * 4096 + 4097 * 1024 + 1025 * 512 + 513 * 47),
        ("cnn1", 10 * 32 + (9 * 32 + 1) * 64 + (64 * 144 + 1) * 1024 + 1025 * 47),
        ("cnn2", 10 * 32 + (9 * 32 + 1) * 32 + (32 * 144 + 1) * 512 + 513 * 47),
    ],
)
def test_the_originals_have_the_weights_of_their_description(name: str, count: int) -> None:
    assert parameter_count(ARCHITECTURES[name](47)) == count


@pytest.mark.parametrize("name", [name for name in ARCHITECTURES if name not in ORIGINALS])
def test_ours_have_a_fifth_of_a_million_weights_to_three(name: str) -> None:
    assert 200_000 < parameter_count(ARCHITECTURES[name](47)) < 3_000_000
    assert ARCHITECTURES[name](47).augmented


def test_every_architecture_can_be_chosen_without_torch() -> None:
    assert list(NAMES) == sorted(ARCHITECTURES, key=list(NAMES).index)
    program = "import sys, handwriting.networks; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
