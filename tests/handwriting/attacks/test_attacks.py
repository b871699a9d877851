"""Reading captchas by program, with a reader that knows what glyphs there are."""

from itertools import combinations, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handwriting import attacks
from handwriting.attacks.cutting import Pieces, choose, cut_out, find_cuts
from handwriting.attacks.ink import lift
from handwriting.rendering import STYLES, render
from handwriting.rendering.style import Style

PLAIN = Style(rotation=(0, 0), shear=(0, 0), gap=(4, 6), wander=0, wave_height=(0, 0.01), scribbles=(0, 0), fading=0)


def shapes() -> np.ndarray:
    """Return three glyphs that nobody mixes up: a ring, a bar and a cross."""
    row, column = np.mgrid[:28, :28] - 13.5
    away = np.hypot(row, column)
    ring = (away < 10) & (away > 6.5)
    bar = (np.abs(column) < 2) & (np.abs(row) < 11)
    cross = (np.minimum(np.abs(row + column), np.abs(row - column)) < 3) & (
        np.maximum(np.abs(row), np.abs(column)) < 10
    )
    return (255 * np.stack([ring, bar, cross])).astype(np.uint8)


def reader(glyphs: np.ndarray) -> np.ndarray:
    """Return how like each of the three a glyph is."""
    flat, known = (one.reshape(len(one), -1).astype(float) for one in (glyphs, shapes()))
    flat, known = (one / np.maximum(np.linalg.norm(one, axis=1, keepdims=True), 1e-9) for one in (flat, known))
    alike = np.exp(12 * flat @ known.T)
    return alike / alike.sum(1, keepdims=True)


@pytest.mark.parametrize("style", [PLAIN, STYLES["easy"]])
def test_a_row_is_cut_and_read(style: Style) -> None:
    rng, right = np.random.default_rng(1), 0
    for _ in range(20):
        wanted = rng.integers(0, 3, 6)
        picture = render(shapes()[wanted], rng, style)
        reading = attacks.read(picture.data, 6, reader)
        assert reading is not None
        assert reading.glyphs.shape == (6, 28, 28)
        right += int((reading.probabilities.argmax(1) == wanted).sum())
    assert right >= 100


def test_who_is_told_where_glyphs_stand_reads_them() -> None:
    rng = np.random.default_rng(2)
    wanted = rng.integers(0, 3, 6)
    picture = render(shapes()[wanted], rng, STYLES["normal"])
    assert picture.boxes.shape == (6, 4)
    assert (np.diff(picture.boxes[:, 0]) > 0).all()
    assert (attacks.read_at(picture.data, picture.boxes, reader).probabilities.argmax(1) == wanted).all()


def test_who_is_told_has_a_piece_for_each_place_even_where_nothing_stands() -> None:
    picture = render(np.zeros((3, 28, 28), np.uint8), np.random.default_rng(4), PLAIN)
    assert attacks.read_at(picture.data, picture.boxes, reader).glyphs.shape == (3, 28, 28)


@settings(deadline=None, max_examples=40)  # A busy machine is no fault.
@given(st.data())
def test_no_other_choice_of_pieces_is_worth_more(data: st.DataObject) -> None:
    spans = [(start, end) for start in range(4) for end in range(start + 1, 5)]
    worth = np.array(data.draw(st.lists(st.floats(-9, 0), min_size=len(spans), max_size=len(spans))))
    tolls = np.array(data.draw(st.lists(st.floats(0, 3), min_size=5, max_size=5)))
    count = data.draw(st.integers(1, 4))
    starts, ends = np.array(spans).T
    pieces = Pieces(starts, ends, np.zeros((len(spans), 28, 28), np.uint8))
    _, score = choose(pieces, worth, tolls, np.zeros((2, 5)), count)
    prices = dict(zip(spans, worth - tolls[ends], strict=True))
    every = (sum(prices[pair] for pair in pairwise(borders)) for borders in combinations(range(5), count + 1))
    assert score == pytest.approx(max(every))


def test_ink_is_told_from_paper() -> None:
    picture = render(shapes(), np.random.default_rng(3), PLAIN)
    ink = lift(picture.data)
    assert ink.shape == (picture.height // 2, picture.width // 2)
    assert 0.05 < (ink > 0.5).mean() < 0.4
    assert np.median(ink) == 0


def test_a_picture_that_holds_too_little_is_not_cut() -> None:
    picture = render(np.zeros((2, 28, 28), np.uint8), np.random.default_rng(4), PLAIN)
    assert attacks.read(picture.data, 8, reader) is None


def test_the_best_pieces_side_by_side_are_chosen() -> None:
    pieces = Pieces(np.array([0, 0, 1, 2]), np.array([1, 2, 3, 3]), np.zeros((4, 28, 28), np.uint8))
    chosen, score = choose(pieces, np.array([0.0, -1, -5, -1]), np.zeros(4), np.zeros((2, 4)), 2)
    assert (chosen, score) == ([1, 3], -2)
    assert choose(pieces, np.zeros(4), np.zeros(4), np.zeros((2, 4)), 3)[0] == []


def test_cuts_go_around_ink() -> None:
    ink = np.zeros((40, 60), np.float32)
    ink[:, 10:14] = ink[:, 40:44] = 1
    cuts, tolls = find_cuts(ink)
    assert tolls.min() == 0
    pieces = cut_out(ink, cuts)
    assert len(pieces.glyphs) == len(pieces.starts) > 1


def test_the_nearest_known_glyph_is_found() -> None:
    known = np.random.default_rng(5).integers(0, 256, (500, 28, 28), np.uint8)
    faint = (known[[7, 321]] * 0.4 + 20).astype(np.uint8)
    assert attacks.nearest(faint, known).tolist() == [7, 321]
    with pytest.raises(ValueError, match="nothing"):
        attacks.nearest(known[:1], known[:0])
