from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from handwriting.metrics import clustered
from handwriting.networks import judgement
from handwriting.networks.judgement import Mark, Miss, Reliability

pytestmark = pytest.mark.training
GLYPH = np.zeros((28, 28), np.uint8)


def opened(content: bytes) -> Image.Image:
    image = Image.open(BytesIO(content))
    assert image.format == "PNG"
    image.load()
    return image


def test_the_confusion_matrix_darkens_where_it_counts() -> None:
    right, wrong = np.diag([9, 9, 0]), np.array([[0, 9, 0], [0, 9, 0], [0, 0, 0]])
    images = [
        np.asarray(opened(judgement.confusion_matrix(counts, "ABC")).convert("L"), float) for counts in (right, wrong)
    ]
    middle = [
        int(images[0].shape[0] * 0.06 + images[0].shape[0] * 0.86 / 6),
        int(images[0].shape[1] * (0.09 + 0.86 / 6)),
    ]
    assert images[0][middle[0] + 20, middle[1]] != images[1][middle[0] + 20, middle[1]]


def test_an_order_places_the_classes() -> None:
    counts = np.array([[9, 0, 5], [0, 9, 0], [4, 0, 9]])
    order = clustered(counts)
    assert order == [0, 2, 1]
    plain = judgement.confusion_matrix(counts, "ABC")
    assert judgement.confusion_matrix(counts, "ABC", order) != plain
    assert judgement.confusion_matrix(counts, "ABC", [0, 1, 2]) == plain, "the same figures, the same picture"


def test_reliability_is_drawn_up_to_certainty() -> None:
    found = Reliability(np.array([0.5, 1.0]), np.array([0.0, 1.0]), np.array([[0.0, 0.1], [0.9, 1.0]]), 0.25)
    opened(judgement.reliability(found))


def test_a_sheet_of_errors_is_as_high_as_it_needs_to_be() -> None:
    heights = [opened(judgement.worst_errors([Miss(GLYPH, "A", "b", 0.9)] * count)).height for count in (0, 10, 11, 99)]
    assert heights[0] == heights[1] < heights[2] < heights[3]


def test_growth_is_drawn_from_the_first_mark() -> None:
    marks = [Mark(1000 * n, 0.8, 0.78, 0.82, "2026-05-04") for n in (1, 2, 2)]
    assert len({judgement.growth(marks[:count]) for count in (0, 1, 2, 3)}) == 4
