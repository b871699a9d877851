import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from handwriting.metrics import (
    accuracy,
    brier,
    clustered,
    confirmed,
    confusion,
    log_loss,
    macro_f1,
    mcnemar,
    precision,
    recall,
    reliability,
    share,
    top_k,
)

PROBABILITIES = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6], [0.4, 0.5, 0.1], [0.2, 0.2, 0.6]])
LABELS = np.array([0, 1, 0, 2])


def test_accuracy_counts_rows_whose_likeliest_class_is_the_label() -> None:
    assert accuracy(PROBABILITIES, LABELS).value == 0.5


def test_top_k_counts_the_label_among_the_k_likeliest() -> None:
    assert [top_k(PROBABILITIES, LABELS, k).hits for k in (1, 2, 3)] == [2, 4, 4]


def test_of_equal_classes_the_first_is_the_likelier() -> None:
    even = np.full((2, 2), 0.5)
    assert top_k(even, np.array([0, 1]), 1).hits == 1


def test_wilson_interval_of_a_published_example() -> None:
    # Newcombe 1998, table I: 81 of 263, 95 % Wilson without continuity correction: 0.2553 to 0.3662.
    found = share(81, 263)
    assert (round(found.low, 4), round(found.high, 4)) == (0.2553, 0.3662)


def test_no_trial_is_no_share() -> None:
    with pytest.raises(ValueError, match="0 of 0"):
        share(0, 0)


@given(st.integers(1, 10_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_the_interval_holds_the_share_and_stays_in_range(pair: tuple[int, int]) -> None:
    found = share(*pair)
    assert 0 <= found.low <= found.value + 1e-12
    assert found.value - 1e-12 <= found.high <= 1


def test_what_readers_confirm_is_measured_by_how_they_confirm_what_is_right() -> None:
    found = confirmed(800, 1000, 1800, 2000)
    assert found.value == pytest.approx(0.8 / 0.9)
    # By hand: the log of the ratio has a variance of 1/800 - 1/1000 + 1/1800 - 1/2000.
    reach = np.exp(1.96 * np.sqrt(0.00025 + 0.0000556))
    assert found.low == pytest.approx(found.value / reach, abs=0.001)
    assert found.high == pytest.approx(found.value * reach, abs=0.001)


COUNTS = st.integers(1, 5_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(COUNTS, COUNTS.filter(lambda pair: pair[0] > 0))
def test_the_interval_of_what_is_confirmed_holds_it(pair: tuple[int, int], sure: tuple[int, int]) -> None:
    found = confirmed(*pair, *sure)
    assert 0 <= found.low <= found.value <= found.high <= 1
    assert found.low < found.high


def test_labels_that_are_easier_to_read_are_not_taken_for_sure() -> None:
    found = confirmed(9_900, 10_000, 9_500, 10_000)
    assert found.value == found.high == 1
    assert found.low == share(9_900, 10_000).low


@given(COUNTS, COUNTS.filter(lambda pair: pair[0] > 0))
def test_more_trials_of_the_same_narrow_the_interval(pair: tuple[int, int], sure: tuple[int, int]) -> None:
    few, many = confirmed(*pair, *sure), confirmed(*(100 * count for count in (*pair, *sure)))
    assume(few.high < 1)
    assert many.value == pytest.approx(few.value)
    assert many.high - many.low <= few.high - few.low


@pytest.mark.parametrize(
    "counts", [(0, 0, 1, 1), (1, 1, 0, 1), (1, 1, 0, 0), (2, 1, 1, 1), (1, 1, 2, 1), (-1, 1, 1, 1)]
)
def test_it_rejects_what_can_not_be_measured(counts: tuple[int, int, int, int]) -> None:
    with pytest.raises(ValueError, match="can't be measured"):
        confirmed(*counts)


def test_confusion_counts_labels_by_row() -> None:
    counts = confusion(np.array([0, 2, 1, 2]), LABELS, 3)
    assert counts.tolist() == [[1, 1, 0], [0, 0, 1], [0, 0, 1]]


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1))
def test_confusion_counts_every_pair_once(pairs: list[tuple[int, int]]) -> None:
    predicted, labels = np.array(pairs).T
    counts = confusion(predicted, labels, 5)
    assert counts.sum() == len(pairs)
    assert counts.trace() == (predicted == labels).sum()


def test_it_rejects_labels_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match="do not fit"):
        accuracy(PROBABILITIES, LABELS[:2])
    with pytest.raises(ValueError, match="do not fit"):
        confusion(LABELS[:2], LABELS, 3)


def test_precision_recall_and_their_mean() -> None:
    counts = np.array([[3, 1, 0, 0], [2, 2, 0, 0], [0, 0, 0, 0], [0, 0, 0, 4]])
    assert precision(counts).tolist() == [0.6, 2 / 3, 0, 1]
    assert recall(counts).tolist() == [0.75, 0.5, 0, 1]
    assert macro_f1(counts) == pytest.approx((2 / 3 + 4 / 7 + 1) / 3)


def test_what_a_label_costs() -> None:
    assert log_loss(PROBABILITIES, LABELS) == pytest.approx(-np.log([0.7, 0.3, 0.4, 0.6]).mean())
    assert brier(PROBABILITIES[:1], LABELS[:1]) == pytest.approx(0.3**2 + 0.2**2 + 0.1**2)
    assert log_loss(np.array([[0.0, 1.0]]), np.array([0])) == pytest.approx(-np.log(1e-9))


@given(st.integers(1, 60), st.integers(0, 1000))
def test_bins_hold_every_row_once_and_hardly_differ_in_size(rows: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    bins = reliability(rng.dirichlet(np.ones(4), rows), rng.integers(0, 4, rows))
    assert bins.count.sum() == rows
    assert np.ptp(bins.count) <= 1
    assert (np.diff(bins.confidence) >= 0).all()
    assert 0 <= bins.error <= 1


def test_who_is_right_as_often_as_sure_has_no_calibration_error() -> None:
    sure = np.tile([0.75, 0.25], (400, 1))
    labels = np.tile([0, 0, 0, 1], 100)
    assert reliability(sure, labels, bins=1).error == pytest.approx(0)
    assert reliability(sure, 1 - labels, bins=1).error == pytest.approx(0.5)


def test_mcnemars_test_of_an_example() -> None:
    # By hand: of 8 differences 1 goes the other way; 2 * (1 + 8) / 256.
    first = np.array([True] * 7 + [False] + [True] * 20)
    second = np.array([False] * 7 + [True] + [True] * 20)
    found = mcnemar(first, second)
    assert (found.first, found.second, found.p_value) == (7, 1, pytest.approx(18 / 256))


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=300))
def test_mcnemars_test_is_the_exact_binomial_one(pairs: list[tuple[bool, bool]]) -> None:
    first, second = np.array(pairs, bool).reshape(-1, 2).T
    found, other = mcnemar(first, second), mcnemar(second, first)
    trials = found.first + found.second
    expected = stats.binomtest(found.first, trials).pvalue if trials else 1.0
    assert found.p_value == other.p_value == pytest.approx(expected)


def test_it_compares_the_same_glyphs_only() -> None:
    with pytest.raises(ValueError, match="can't be compared"):
        mcnemar(np.ones(2, bool), np.ones(3, bool))


@given(st.integers(2, 9), st.integers(0, 1000))
def test_an_order_by_confusions_holds_every_class_once(classes: int, seed: int) -> None:
    counts = np.random.default_rng(seed).integers(0, 9, (classes, classes))
    assert sorted(clustered(counts)) == list(range(classes))


def test_classes_that_are_confused_come_together_and_others_keep_their_order() -> None:
    counts = np.diag([100] * 6)
    counts[0, 4] = counts[4, 0] = 20
    counts[2, 5] = 9
    assert clustered(counts) == [0, 4, 1, 2, 5, 3]
