import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from handwriting.networks import training
from handwriting.networks.training import Options, Progress, hold_out, train, varied

pytestmark = pytest.mark.training
QUICK = Options(epochs=2, batch_size=32, precision="float32")


@pytest.mark.parametrize("name", ["slim", "cnn2"])
def test_it_learns_bars(bars: tuple[np.ndarray, np.ndarray], name: str) -> None:
    options = Options(epochs=8, batch_size=16, precision="float32")
    trained = train(name, *bars, classes=3, options=options)
    assert trained.history[-1].validation_accuracy >= 0.9
    assert trained.history[-1].validation_loss < trained.history[0].validation_loss
    assert (trained.training_size, trained.validation_size) == (285, 15)


@pytest.mark.parametrize("name", ["slim", "cnn2"])
def test_the_same_seed_gives_the_same_weights(bars: tuple[np.ndarray, np.ndarray], name: str) -> None:
    one, same = (train(name, *bars, classes=3, options=QUICK) for _ in range(2))
    other = train(name, *bars, classes=3, options=Options(2, 32, 1, "float32"))
    assert one.history == same.history
    for key, weights in one.network.state_dict().items():
        assert torch.equal(weights, same.network.state_dict()[key])
    assert one.history != other.history


def test_training_leaves_the_callers_random_numbers_alone(bars: tuple[np.ndarray, np.ndarray]) -> None:
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    train("slim", *bars, classes=3, options=QUICK)
    assert torch.equal(torch.rand(3), expected)


def test_it_tells_of_every_batch(bars: tuple[np.ndarray, np.ndarray]) -> None:
    steps: list[Progress] = []
    trained = train("slim", *bars, classes=3, options=QUICK, progress=steps.append)
    assert [(step.epoch, step.batch) for step in steps] == [(e, b) for e in (1, 2) for b in range(1, 9)]
    assert steps[0].finished == ()
    assert steps[-1].finished == trained.history[:1]
    assert all(step.images_per_second > 0 for step in steps)


def test_an_interrupt_between_batches_goes_through(bars: tuple[np.ndarray, np.ndarray]) -> None:
    def stop(step: Progress) -> None:
        if step.batch == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train("slim", *bars, classes=3, options=QUICK, progress=stop)


def test_two_glyphs_are_enough_and_one_is_not(bars: tuple[np.ndarray, np.ndarray]) -> None:
    glyphs, labels = bars
    assert len(train("slim", glyphs[:2], labels[:2], classes=3, options=QUICK).history) == 2
    with pytest.raises(ValueError, match="at least 2 glyphs"):
        train("slim", glyphs[:1], labels[:1], classes=3, options=QUICK)


def test_it_rejects_labels_and_shapes_that_do_not_fit(bars: tuple[np.ndarray, np.ndarray]) -> None:
    glyphs, labels = bars
    with pytest.raises(ValueError, match="0 to 1"):
        train("slim", glyphs, labels, classes=2, options=QUICK)
    with pytest.raises(ValueError, match="n labels"):
        train("slim", glyphs, labels[:-1], classes=3, options=QUICK)
    with pytest.raises(ValueError, match="uint8"):
        train("slim", glyphs.astype(np.float32), labels, classes=3, options=QUICK)  # type: ignore[arg-type]


def test_the_originals_train_plainly(bars: tuple[np.ndarray, np.ndarray], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "varied", lambda *_: pytest.fail("an original must see glyphs as they are"))
    train("cnn2", *bars, classes=3, options=Options(1, 64, precision="float32"))


def test_bfloat16_trains_to_about_the_same(bars: tuple[np.ndarray, np.ndarray]) -> None:
    options = Options(epochs=8, batch_size=16, precision="bfloat16")
    trained = train("slim", *bars, classes=3, options=options)
    assert trained.precision == "bfloat16"
    assert trained.history[-1].validation_accuracy >= 0.9


def test_auto_precision_is_decided_once() -> None:
    cpu = torch.device("cpu")
    assert {training.precision_for("auto", cpu) for _ in range(3)} <= {"float32", "bfloat16"}
    assert training._bfloat16_pays.cache_info().misses == 1


@given(st.integers(2, 3000))
def test_validation_is_a_twentieth_that_is_never_trained_on(count: int) -> None:
    kept, held = hold_out(count)
    assert sorted([*kept.tolist(), *held.tolist()]) == list(range(count))
    assert len(held) == max(1, round(count / 20))
    assert torch.equal(hold_out(count)[1], held)


def test_variation_keeps_shape_range_and_most_of_the_ink() -> None:
    images = torch.zeros(50, 1, 28, 28)
    images[:, :, 8:20, 12:16] = 1
    changed = varied(images, torch.Generator().manual_seed(0))
    assert changed.shape == images.shape
    assert 0 <= changed.min() <= changed.max() <= 1
    assert not torch.allclose(changed[0], changed[1])
    assert 0.75 < changed.sum() / images.sum() < 1.3
