from io import BytesIO

import pytest
from PIL import Image

from handwriting.networks import paper, pictures
from handwriting.networks.architectures import ARCHITECTURES, parameter_count
from handwriting.networks.training import Epoch

pytestmark = pytest.mark.training
HISTORY = [Epoch(2.0, 0.4, 1.5, 0.6), Epoch(1.0, 0.7, 0.9, 0.75)]


def opened(content: bytes) -> Image.Image:
    image = Image.open(BytesIO(content))
    assert image.format == "PNG"
    image.load()
    return image


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_drawing_shows_every_stage_and_every_weight(name: str) -> None:
    network = ARCHITECTURES[name](47)
    blocks = pictures.blocks(network)
    assert sum(block.parameters for block in blocks) == parameter_count(network)
    assert blocks[-1].shape == (47,)
    assert opened(pictures.architecture(name, network)).width == round(pictures.WIDTH * paper.RESOLUTION)


def test_a_stage_is_described_in_words() -> None:
    first = pictures.blocks(ARCHITECTURES["compact"](47))[0]
    assert (first.title, first.detail, first.shape) == ("Convolution", "5 × 5, stride 2, norm, ReLU", (32, 14, 14))


@pytest.mark.parametrize("length", [1, 2])
def test_curves_are_drawn_from_the_first_epoch(length: int) -> None:
    loss, accuracy = pictures.loss_curve(HISTORY[:length]), pictures.accuracy_curve(HISTORY[:length])
    assert opened(loss).size == opened(accuracy).size
    assert loss != accuracy


def outcome(**row: float) -> dict[str, object]:
    course = [
        {"answers": n, "votes": 2 * n, "accepted": n, "accuracy": 1 - n / 1000} | {k: v * n for k, v in row.items()}
        for n in range(0, 100, 20)
    ]
    return {"probes": 100, "course": course, "pass_rate": {"bot": 0.8, "liar": 0.9}, "poison_rate": {"liar": 1.0}}


def test_a_simulation_is_drawn_with_a_further_panel_where_networks_were_trained() -> None:
    plain, trained = (
        opened(pictures.simulation(outcome())),
        opened(pictures.simulation(outcome(labels=1, network=0.01))),
    )
    assert trained.width == plain.width
    assert trained.height > 1.4 * plain.height


def test_a_simulation_without_a_label_is_drawn_too() -> None:
    nothing = {"answers": 0, "votes": 0, "accepted": 0, "accuracy": 0.0}
    opened(pictures.simulation({"probes": 1, "course": [nothing], "pass_rate": {}, "poison_rate": {}}))
