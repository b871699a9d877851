import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from handwriting.ensembles import combine, normalise

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
