from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

from handwriting.networks.architectures import ARCHITECTURES
from handwriting.networks.export import Served, export, quantise
from handwriting.networks.training import Options, Trained, train

pytestmark = pytest.mark.training


@pytest.fixture
def trained(bars: tuple[np.ndarray, np.ndarray]) -> Trained:
    return train("slim", *bars, classes=3, options=Options(4, 16, precision="float32"))


def run(path: Path, glyphs: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(["probabilities"], {"glyphs": glyphs})[0])


@pytest.mark.parametrize("name", ["compact", "slim", "residual-small", "cnn2"])
def test_the_file_says_what_the_network_says(tmp_path: Path, bars: tuple[np.ndarray, np.ndarray], name: str) -> None:
    network = ARCHITECTURES[name](47).eval()
    export(network, tmp_path / "network.onnx")
    with torch.inference_mode():
        expected = Served(network)(torch.from_numpy(bars[0])).numpy()
    said = run(tmp_path / "network.onnx", bars[0])
    np.testing.assert_allclose(said, expected, atol=1e-5)
    np.testing.assert_allclose(said.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("count", [1, 3, 300])
def test_it_takes_any_number_of_glyphs(
    tmp_path: Path, bars: tuple[np.ndarray, np.ndarray], trained: Trained, count: int
) -> None:
    export(trained.network, tmp_path / "network.onnx")
    assert run(tmp_path / "network.onnx", bars[0][:count]).shape == (count, 3)


@pytest.mark.parametrize("name", ["slim", "residual-small", "cnn2"])
def test_eight_bits_say_the_same_in_less_space(tmp_path: Path, bars: tuple[np.ndarray, np.ndarray], name: str) -> None:
    plain, small = tmp_path / "plain.onnx", tmp_path / "small.onnx"
    network = train(name, *bars, classes=3, options=Options(3, 16, precision="float32")).network
    export(network, plain)
    quantise(plain, small, bars[0])
    agreement = (run(plain, bars[0]).argmax(axis=1) == run(small, bars[0]).argmax(axis=1)).mean()
    assert agreement >= 0.95
    assert small.stat().st_size < 0.5 * plain.stat().st_size


def test_exporting_prints_nothing(tmp_path: Path, trained: Trained, capfd: pytest.CaptureFixture[str]) -> None:
    export(trained.network, tmp_path / "network.onnx")
    assert capfd.readouterr() == ("", "")
