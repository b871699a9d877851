import numpy as np
import pytest

from handwriting.alphabet import BALANCED
from handwriting.crowds import CROWDS, Crowd, Nature, likeness

K = len(BALANCED)
GLYPHS = 2000


@pytest.fixture
def make_crowd():
    """Make a crowd in front of glyphs of which every fifth looks as much like another class as like its own."""

    def make(name: str = "honest", seed: int = 1, **nature: float) -> Crowd:
        rng = np.random.default_rng(seed)
        truth = rng.integers(0, K, GLYPHS)
        like = np.full((GLYPHS, K), 0.1 / K)
        like[np.arange(GLYPHS), truth] += 0.9
        double = np.arange(0, GLYPHS, 5)
        like[double, truth[double]] -= 0.45
        like[double, (truth[double] + 1) % K] += 0.45
        return Crowd(BALANCED, truth, like, (truth + 1) % K, CROWDS[name], Nature(**nature), rng)

    return make


def answers(crowd: Crowd, kind: str, count: int = 400) -> tuple[float, float]:
    """Return how often visitors of a kind are right where it gates and where it does not."""
    gates = np.array([True] * 4 + [False] * 3)
    hits = []
    while len(hits) < count:
        for visitor in crowd.arrive(50):
            if visitor.kind == kind:
                shown = crowd.rng.integers(0, GLYPHS, 7)
                hits.append(np.array(crowd.answer(visitor, shown.tolist(), gates.tolist())) == crowd.truth[shown])
    right = np.array(hits)
    return float(right[:, gates].mean()), float(right[:, ~gates].mean())


def test_careful_visitors_err_little_and_careless_ones_more(make_crowd) -> None:
    crowd = make_crowd()
    careful, careless = answers(crowd, "careful"), answers(crowd, "careless")
    assert careful[0] > 0.95
    assert careless[0] < careful[0]


def test_liars_and_colluders_lie_where_it_is_free(make_crowd) -> None:
    for name, kind in (("liars10", "liar"), ("colluders30", "colluder")):
        gated, free = answers(make_crowd(name), kind)
        assert gated > 0.9
        assert free < 0.1


def test_colluders_agree(make_crowd) -> None:
    crowd = make_crowd("colluders30")
    said = {
        tuple(crowd.answer(visitor, [1, 2, 3], [False] * 3))
        for _ in range(40)
        for visitor in crowd.arrive(50)
        if visitor.kind == "colluder"
    }
    assert len(said) == 1
    assert all(a != t for a, t in zip(said.pop(), crowd.truth[[1, 2, 3]], strict=True))


def test_bots_say_what_the_machine_reads(make_crowd) -> None:
    assert answers(make_crowd("bots10"), "bot") == (0.0, 0.0)


def test_repeaters_remember_and_change_their_address(make_crowd) -> None:
    crowd = make_crowd("mixed40")
    numbers, said = set(), set()
    for _ in range(60):
        for visitor in crowd.arrive(100):
            if visitor.kind == "repeater":
                numbers.add(visitor.number)
                said.add(tuple(crowd.answer(visitor, [0, 5, 10], [False] * 3)))
    assert len(numbers) > 50
    assert len(said) == 1


def test_people_err_where_the_glyph_itself_is_ambiguous(make_crowd) -> None:
    crowd = make_crowd()
    right = crowd.reading[np.arange(GLYPHS), crowd.truth]
    assert right[::5].mean() < right[1::5].mean() - 0.02
    assert crowd.reading.sum(1) == pytest.approx(np.ones(GLYPHS))


def test_ambiguous_glyphs_are_read_both_ways(make_crowd) -> None:
    crowd = make_crowd("ambiguous", ambiguous=0.06)
    right = crowd.reading[np.arange(GLYPHS), crowd.truth]
    assert (right < 0.91).sum() == pytest.approx(0.06 * GLYPHS, rel=0.1)
    assert right.min() > 0.45


def test_visitors_come_again_unless_they_come_once(make_crowd) -> None:
    def numbers(visits: float) -> int:
        crowd = make_crowd(visits=visits)
        return len({visitor.number for _ in range(50) for visitor in crowd.arrive(20)})

    assert numbers(1.0) == 1000
    assert numbers(8.0) < 600


def test_a_seed_makes_the_same_crowd(make_crowd) -> None:
    one, other = (
        [crowd.answer(visitor, [1, 2], [True, False]) for visitor in crowd.arrive(30)]
        for crowd in (make_crowd("mixed40", seed=4), make_crowd("mixed40", seed=4))
    )
    assert one == other


def test_likeness_finds_what_looks_alike_and_leaves_the_glyph_itself_out() -> None:
    rng = np.random.default_rng(1)
    shapes = rng.integers(0, 256, (3, 28, 28))
    labels = np.repeat([0, 1, 2], 40)
    noise = rng.integers(-40, 40, (120, 28, 28))
    known = np.clip(shapes[labels] + noise, 0, 255).astype(np.uint8)
    like = likeness(known, known, labels, 3)
    assert like.argmax(1).tolist() == labels.tolist()
    assert like.sum(1) == pytest.approx(np.ones(120))
