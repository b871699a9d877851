from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from handwriting.networks import precision, training
from handwriting.networks.precision import Precision
from handwriting.networks.training import Options, Progress, Trained, hold_out, train

Bars = tuple[np.ndarray, np.ndarray]
pytestmark = pytest.mark.training
PRECISIONS: tuple[Precision, Precision] = ("bfloat16", "float32")
QUICK = Options(epochs=2, batch_size=32, precision="float32")


@pytest.mark.parametrize("name", ["slim", "cnn2"])
def test_it_learns_bars(bars: Bars, name: str) -> None:
    options = Options(epochs=8, batch_size=16, precision="float32")
    trained = train(name, *bars, classes=3, options=options)
    assert trained.history[-1].validation_accuracy >= 0.9
    assert trained.history[-1].validation_loss < trained.history[0].validation_loss
    assert (trained.training_size, trained.validation_size) == (284, 16)


@pytest.mark.parametrize("name", ["slim", "cnn2"])
def test_the_same_seed_gives_the_same_weights(bars: Bars, name: str) -> None:
    one, same = (train(name, *bars, classes=3, options=QUICK) for _ in range(2))
    other = train(name, *bars, classes=3, options=Options(2, 32, 1, "float32"))
    assert one.history == same.history
    for key, weights in one.network.state_dict().items():
        assert torch.equal(weights, same.network.state_dict()[key])
    assert one.history != other.history


def test_normalisation_fits_glyphs_as_they_are(bars: Bars) -> None:
    trained = train("slim", *bars, classes=3, options=QUICK)
    convolution, norm = trained.network.stages[0][:2]
    kept, _ = hold_out(bars[0])
    with torch.inference_mode():
        seen = convolution(training.scaled(torch.from_numpy(bars[0][kept]).unsqueeze(1)))
    assert torch.allclose(norm.running_mean, seen.mean((0, 2, 3)), atol=1e-4)


def test_training_leaves_the_callers_random_numbers_alone(bars: Bars) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train("slim", *bars, classes=3, options=QUICK)
    assert torch.equal(torch.rand(3), expected)


def test_it_tells_of_every_batch(bars: Bars) -> None:
    steps: list[Progress] = []
    trained = train("slim", *bars, classes=3, options=QUICK, progress=steps.append)
    assert [(step.epoch, step.batch) for step in steps] == [
        (e, b) for e in (1, 2) for b in range(1, steps[0].batches + 1)
    ]
    assert steps[0].finished == ()
    assert steps[-1].finished == trained.history[:1]
    assert all(step.images_per_second > 0 for step in steps)
    shares = [step.share for step in steps]
    assert shares == sorted(shares)
    assert (shares[-1], steps[-1].seconds_left) == (1, 0)


def test_an_interrupt_between_batches_goes_through(bars: Bars) -> None:
    def stop(step: Progress) -> None:
        if step.batch == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train("slim", *bars, classes=3, options=QUICK, progress=stop)


def test_two_glyphs_are_enough_and_one_is_not(bars: Bars) -> None:
    glyphs, labels = bars
    assert len(train("slim", glyphs[:2], labels[:2], classes=3, options=QUICK).history) == 2
    with pytest.raises(ValueError, match="at least 2 glyphs"):
        train("slim", glyphs[:1], labels[:1], classes=3, options=QUICK)


def test_it_rejects_labels_and_shapes_that_do_not_fit(bars: Bars) -> None:
    glyphs, labels = bars
    with pytest.raises(ValueError, match="0 to 1"):
        train("slim", glyphs, labels, classes=2, options=QUICK)
    with pytest.raises(ValueError, match="n labels"):
        train("slim", glyphs, labels[:-1], classes=3, options=QUICK)
    with pytest.raises(ValueError, match="uint8"):
        train("slim", glyphs.astype(np.float32), labels, classes=3, options=QUICK)  # type: ignore[arg-type]


def test_the_originals_train_plainly(bars: Bars, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "varied", lambda *_: pytest.fail("an original must see glyphs as they are"))
    train("cnn2", *bars, classes=3, options=Options(1, 64, precision="float32"))


def test_bfloat16_trains_to_about_the_same(bars: Bars) -> None:
    options = Options(batch_size=16, precision="bfloat16", steps=6)
    coarse, fine = (train("slim", *bars, classes=3, options=replace(options, precision=p)) for p in PRECISIONS)
    assert (coarse.precision, fine.precision) == PRECISIONS
    assert coarse.history[-1].loss == pytest.approx(fine.history[-1].loss, rel=0.05)
    assert coarse.history[-1].loss != fine.history[-1].loss


def test_auto_precision_is_decided_once() -> None:
    cpu = torch.device("cpu")
    assert {precision.precision_for("auto", cpu) for _ in range(3)} <= {"float32", "bfloat16"}
    assert precision._bfloat16_pays.cache_info().misses == 1


def stop_after(count: int, where: list[Progress]) -> Callable[[Progress], None]:
    """Break a training off after so many batches."""

    def tell(step: Progress) -> None:
        where.append(step)
        if len(where) == count:
            raise KeyboardInterrupt

    return tell


def same(one: Trained, other: Trained) -> bool:
    """Tell whether two trainings came to the same weights by the same way."""
    weights = zip(one.network.state_dict().values(), other.network.state_dict().values(), strict=True)
    return one.history == other.history and all(torch.equal(*pair) for pair in weights)


@pytest.mark.parametrize("name", ["slim", "cnn2"])
@pytest.mark.parametrize("batches", [10, 16])
def test_a_training_that_was_broken_off_goes_on_to_the_same_end(
    bars: Bars, tmp_path: Path, name: str, batches: int
) -> None:
    options, file = Options(3, 32, precision="float32"), tmp_path / "state" / "one.npz"
    with pytest.raises(KeyboardInterrupt):
        train(name, *bars, classes=3, options=options, checkpoint=file, progress=stop_after(batches, []))
    steps: list[Progress] = []
    resumed = train(name, *bars, classes=3, options=options, checkpoint=file, progress=steps.append)
    assert steps[0].epoch == 2, "the first epoch was whole, so it is not trained again"
    assert same(resumed, train(name, *bars, classes=3, options=options))
    assert resumed.seconds > 0


def test_what_is_finished_is_not_trained_again(bars: Bars, tmp_path: Path) -> None:
    one = train("slim", *bars, classes=3, options=QUICK, checkpoint=tmp_path / "one.npz")
    steps: list[Progress] = []
    again = train("slim", *bars, classes=3, options=QUICK, checkpoint=tmp_path / "one.npz", progress=steps.append)
    assert same(one, again)
    assert steps == []


def test_another_training_does_not_go_on_from_it(bars: Bars, tmp_path: Path) -> None:
    file, (glyphs, labels) = tmp_path / "one.npz", bars
    train("slim", *bars, classes=3, options=QUICK, checkpoint=file)
    for changed in ((glyphs[::-1], labels[::-1]), (glyphs, np.roll(labels, 1))):
        steps: list[Progress] = []
        train("slim", *changed, classes=3, options=QUICK, checkpoint=file, progress=steps.append)
        assert steps[0].epoch == 1


def test_a_damaged_checkpoint_is_as_good_as_none(bars: Bars, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "one.npz"
    file.write_bytes(b"cut short")
    assert len(train("slim", *bars, classes=3, options=QUICK, checkpoint=file).history) == 2
    assert "starts anew" in caplog.text


def test_minutes_end_a_training_and_its_cycle(bars: Bars) -> None:
    steps: list[Progress] = []
    trained = train("slim", *bars, classes=3, options=replace(QUICK, minutes=0.01), progress=steps.append)
    assert trained.seconds >= 0.6
    assert [step.share for step in steps] == sorted(step.share for step in steps)
    assert steps[-1].share == 1
    assert (steps[0].epochs, steps[0].seconds_left > 0, steps[-1].seconds_left) == (None, True, 0)
    assert trained.steps == len(steps)
    assert len(trained.history) == steps[-1].epoch


def test_steps_end_a_training_within_an_epoch(bars: Bars) -> None:
    steps: list[Progress] = []
    trained = train("slim", *bars, classes=3, options=replace(QUICK, steps=13), progress=steps.append)
    assert trained.steps == len(steps) == 13
    assert (steps[-1].epoch, steps[-1].epochs, steps[-1].batch, steps[-1].share) == (2, 2, steps[-1].batches, 1)


@pytest.mark.parametrize(
    "wrong", [{"minutes": 0}, {"minutes": float("inf")}, {"steps": 0}, {"minutes": 1, "steps": 1}, {"balance": 2}]
)
def test_options_of_no_meaning_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=r"minutes|balance"):
        Options(**wrong)  # type: ignore[arg-type]


def test_soft_labels_that_are_sure_teach_the_same_as_hard_ones(bars: Bars) -> None:
    hard = train("slim", *bars, classes=3, options=QUICK)
    soft = train("slim", *bars, classes=3, options=QUICK, targets=np.eye(3)[bars[1]], weights=np.ones(300))
    assert hard.history[-1].loss == pytest.approx(soft.history[-1].loss, rel=1e-3)


def test_soft_labels_are_learned_as_they_are(bars: Bars) -> None:
    targets = np.full((300, 3), 0.1)
    targets[np.arange(300), bars[1]] = 0.8
    network = train("slim", *bars, classes=3, options=Options(8, 16, precision="float32"), targets=targets).network
    with torch.inference_mode():
        said = network(training.scaled(torch.from_numpy(bars[0]).unsqueeze(1))).softmax(1)
    assert 0.7 < said.max(1).values.mean() < 0.9


def test_a_glyph_without_weight_teaches_nothing(bars: Bars) -> None:
    glyphs, labels = bars
    wrong = np.arange(300) % 3 == 0
    spoiled = np.where(wrong, (labels + 1) % 3, labels)
    options = Options(8, 16, precision="float32")
    weighed = train("slim", glyphs, spoiled, classes=3, options=options, weights=np.where(wrong, 0.0, 1.0)).network
    with torch.inference_mode():
        said = weighed(training.scaled(torch.from_numpy(glyphs).unsqueeze(1))).argmax(1).numpy()
    assert (said == labels)[wrong].mean() >= 0.9


def test_targets_and_weights_must_fit(bars: Bars) -> None:
    for wrong in ({"targets": np.ones((300, 3))}, {"targets": np.ones((2, 3)) / 3}, {"weights": np.zeros(300)}):
        with pytest.raises(ValueError, match=r"targets|weights"):
            train("slim", *bars, classes=3, options=QUICK, **wrong)


def test_balance_makes_up_for_a_class_that_is_rare() -> None:
    """Clouds tell nothing, so a network can only say how frequent the classes are."""
    noise = gaussian_filter(np.random.default_rng(0).normal(0, 1, (300, 28, 28)), (0, 3, 3))
    clouds = (255 * (noise > 0)).astype(np.uint8)
    glyphs, labels = clouds[:200], np.repeat([0, 1], [160, 40])

    def odds(balance: float) -> float:
        options = Options(3, 16, precision="float32", balance=balance)
        network = train("slim", glyphs, labels, classes=2, options=options).network
        with torch.inference_mode():
            said = network(training.scaled(torch.from_numpy(clouds[200:]).unsqueeze(1)))
            rest, rare = said.log_softmax(1).mean(0).exp().tolist()
        return float(rare / rest)

    assert odds(1) / odds(0) == pytest.approx(4, rel=0.5), "one class has four times as many glyphs"


pictures = st.lists(st.integers(0, 2**32 - 1), min_size=2, max_size=300)


@given(pictures)
def test_a_picture_is_always_on_the_same_side(seeds: list[int]) -> None:
    glyphs = np.array([np.random.default_rng(seed).integers(0, 256, (28, 28), np.uint8) for seed in seeds])
    kept, held = (side.tolist() for side in hold_out(glyphs))
    assert sorted([*kept, *held]) == list(range(len(seeds)))
    assert kept
    assert held
    if len(seeds) > 100:
        backwards = {len(seeds) - 1 - position for position in hold_out(glyphs[::-1])[1].tolist()}
        assert set(held) == backwards


def test_validation_is_about_a_twentieth() -> None:
    glyphs = np.random.default_rng(0).integers(0, 256, (4000, 28, 28), np.uint8)
    assert 0.04 < len(hold_out(glyphs)[1]) / 4000 < 0.06
