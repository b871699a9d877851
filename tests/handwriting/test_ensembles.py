import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from handwriting.ensembles import (
    POOLINGS,
    Pooling,
    calibrate,
    choose_strength,
    combine,
    correct,
    even,
    log_loss,
    normalise,
    optimise,
    temper,
)

WEIGHTS = st.lists(st.floats(0, 1e308), min_size=1, max_size=20).map(np.array)


@given(WEIGHTS)
def test_normal_weights_add_up_to_one(weights: np.ndarray) -> None:
    normal = normalise(weights)
    assert normal.sum() == pytest.approx(1)
    assert (normal >= 0).all()


@given(WEIGHTS)
def test_normalising_twice_changes_nothing(weights: np.ndarray) -> None:
    np.testing.assert_allclose(normalise(normalise(weights)), normalise(weights), rtol=1e-12)


def test_weights_keep_their_proportions() -> None:
    assert normalise(np.array([3, 1])).tolist() == [0.75, 0.25]


def test_weights_of_nothing_become_equal() -> None:
    assert normalise(np.zeros(4)).tolist() == [0.25] * 4


@pytest.mark.parametrize("weights", [[], [-1.0, 2.0], [float("nan"), 1.0], [float("inf"), 1.0]])
def test_it_rejects_weights_of_no_meaning(weights: list[float]) -> None:
    with pytest.raises(ValueError, match="weight"):
        normalise(np.array(weights))


def test_members_are_averaged_by_weight() -> None:
    said = np.array([[[1.0, 0.0]], [[0.0, 1.0]]])
    assert combine(said, np.array([3, 1])).tolist() == [[0.75, 0.25]]


@given(arrays(np.float64, (3, 4, 5), elements=st.floats(0.01, 1)), arrays(np.float64, 3, elements=st.floats(0.01, 9)))
def test_probabilities_stay_probabilities(said: np.ndarray, weights: np.ndarray) -> None:
    said = said / said.sum(axis=2, keepdims=True)
    pooled = combine(said, weights)
    np.testing.assert_allclose(pooled.sum(axis=1), 1)
    assert (pooled <= said.max(axis=0) + 1e-12).all()
    assert (pooled >= said.min(axis=0) - 1e-12).all()


def test_it_rejects_weights_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        combine(np.ones((2, 1, 3)), np.array([1, 1, 1]))


def opinions(seed: int, members: int, glyphs: int = 40, classes: int = 5) -> tuple[np.ndarray, np.ndarray]:
    """Return what members say who know a glyph more or less well, and its label."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, classes, glyphs)
    logits = rng.normal(size=(members, glyphs, classes)) * rng.uniform(0.2, 3, (members, 1, 1))
    logits[:, np.arange(glyphs), labels] += rng.uniform(0, 4, (members, 1))
    said = np.exp(logits - logits.max(axis=2, keepdims=True))
    return said / said.sum(axis=2, keepdims=True), labels


SEEDS, MEMBERS, POOLS = st.integers(0, 10_000), st.integers(1, 6), st.sampled_from(POOLINGS)


@given(SEEDS, MEMBERS, POOLS)
def test_the_best_weights_are_never_worse_than_equal_ones_or_one_member(
    seed: int, members: int, pooling: Pooling
) -> None:
    said, labels = opinions(seed, members)
    weights = optimise(said, labels, pooling)
    assert weights.sum() == pytest.approx(1)
    assert (weights >= 0).all()
    best = log_loss(combine(said, weights, pooling), labels)
    for other in (np.ones(members), *np.eye(members)):
        assert best <= log_loss(combine(said, other, pooling), labels) + 1e-5


@given(SEEDS, POOLS, st.permutations(range(4)))
def test_the_order_of_members_does_not_matter(seed: int, pooling: Pooling, order: list[int]) -> None:
    said, labels = opinions(seed, 4)
    np.testing.assert_allclose(
        optimise(said[order], labels, pooling), optimise(said, labels, pooling)[order], atol=0.02
    )
    np.testing.assert_allclose(
        combine(said[order], np.arange(1, 5)[order], pooling), combine(said, np.arange(1, 5), pooling), atol=1e-9
    )


@given(SEEDS, POOLS)
def test_no_other_weights_do_much_better(seed: int, pooling: Pooling) -> None:
    said, labels = opinions(seed, 3)
    best = log_loss(combine(said, optimise(said, labels, pooling, least=0), pooling), labels)
    for other in np.random.default_rng(seed).dirichlet(np.ones(3), 50):
        assert best <= log_loss(combine(said, other, pooling), labels) + 1e-4


def test_a_member_that_brings_nothing_is_left_out() -> None:
    said, labels = opinions(1, 2, glyphs=400)
    noise = np.random.default_rng(2).dirichlet(np.ones(5), (1, 400))
    assert optimise(np.concatenate([said, noise]), labels)[2] == 0


def test_a_glyph_that_counts_nothing_changes_no_weight() -> None:
    said, labels = opinions(3, 3, glyphs=60)
    shares = np.where(np.arange(60) < 40, 1.0, 0.0)
    np.testing.assert_allclose(optimise(said, labels, shares=shares), optimise(said[:, :40], labels[:40]), atol=1e-6)


def test_weights_need_a_glyph() -> None:
    with pytest.raises(ValueError, match="without a glyph"):
        optimise(np.ones((2, 0, 3)), np.array([], int))


def test_logarithms_are_averaged_by_weight() -> None:
    pooled = combine(np.array([[[0.8, 0.2]], [[0.5, 0.5]]]), np.array([1, 1]), "logarithm")
    assert pooled[0, 0] == pytest.approx(2 / 3)


@given(SEEDS)
def test_calibration_finds_the_temperature_back(seed: int) -> None:
    said, _ = opinions(seed, 1, glyphs=3000)
    rng = np.random.default_rng(seed)
    labels = (said[0].cumsum(axis=1) > rng.random((3000, 1))).argmax(axis=1)
    assert calibrate(temper(said[0], 0.7), labels) == pytest.approx(1 / 0.7, rel=0.25)


def test_a_correction_undoes_what_frequencies_did() -> None:
    rng = np.random.default_rng(5)
    logits = rng.normal(size=(4000, 2))
    counts = np.array([8999, 999])
    even_odds = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    skewed = even_odds * [0.9, 0.1]
    skewed /= skewed.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(correct(skewed, counts, 1), even_odds, rtol=1e-9)
    np.testing.assert_allclose(correct(skewed, counts, 0), skewed)
    labels = (rng.random(4000) > even_odds[:, 0]).astype(int)
    assert choose_strength(skewed, labels, counts, np.ones(4000))[0] > 0.8
    assert choose_strength(even_odds, labels, np.array([500, 500]), np.ones(4000))[0] == 0


def test_even_shares_give_each_class_the_same() -> None:
    labels = np.array([0] * 6 + [1] * 3 + [3])
    shares = even(labels, 5)
    assert [shares[labels == name].sum() for name in (0, 1, 3)] == pytest.approx([10 / 3] * 3)
