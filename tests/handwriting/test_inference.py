import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from handwriting.inference import BATCH, Classifier, InferenceError, guesses


@pytest.fixture
def by_column(tmp_path: Path) -> Path:
    """Write a network by hand: the classes are the first three columns, the probability is that column's share."""
    nodes = [
        helper.make_node("Cast", ["glyphs"], ["ink"], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", ["ink", "axis"], ["columns"], keepdims=0),
        helper.make_node("Slice", ["columns", "from", "to", "axis"], ["some"]),
        helper.make_node("ReduceSum", ["some", "axis"], ["all"], keepdims=1),
        helper.make_node("Div", ["some", "all"], ["probabilities"]),
    ]
    constants = [helper.make_tensor(n, TensorProto.INT64, [1], [v]) for n, v in (("axis", 1), ("from", 0), ("to", 3))]
    glyphs = helper.make_tensor_value_info("glyphs", TensorProto.UINT8, ["n", 28, 28])
    said = helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["n", 3])
    graph = helper.make_graph(nodes, "by column", [glyphs], [said], constants)
    path = tmp_path / "network.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8), path)
    return path


def glyph(*ink: int) -> np.ndarray:
    picture = np.zeros((28, 28), np.uint8)
    picture[5, : len(ink)] = ink
    return picture


def test_it_runs_the_file(by_column: Path) -> None:
    said = Classifier(by_column, "ABC").probabilities(np.array([glyph(100, 50, 50), glyph(0, 0, 9)]))
    np.testing.assert_allclose(said, [[0.5, 0.25, 0.25], [0, 0, 1]])
    assert said.dtype == np.float32


def test_many_glyphs_are_cut_into_batches(by_column: Path) -> None:
    inks = np.random.default_rng(0).integers(1, 256, (2 * BATCH + 7, 3))
    said = Classifier(by_column, "ABC").probabilities(np.array([glyph(*ink) for ink in inks]))
    np.testing.assert_allclose(said, inks / inks.sum(axis=1, keepdims=True), rtol=1e-5)


def test_no_glyphs_give_no_rows(by_column: Path) -> None:
    assert Classifier(by_column, "ABC").probabilities(np.empty((0, 28, 28), np.uint8)).shape == (0, 3)


def test_the_file_is_read_at_the_first_prediction(tmp_path: Path) -> None:
    classifier = Classifier(tmp_path / "nothing.onnx", "ABC")
    with pytest.raises(InferenceError, match=r"nothing\.onnx"):
        classifier.probabilities(glyph(1)[np.newaxis])


def test_it_rejects_a_file_that_is_no_network(tmp_path: Path) -> None:
    (tmp_path / "network.onnx").write_bytes(b"not a network")
    with pytest.raises(InferenceError, match=r"network\.onnx is no ONNX file"):
        Classifier(tmp_path / "network.onnx", "ABC").probabilities(glyph(1)[np.newaxis])


def test_it_rejects_a_network_of_other_classes(by_column: Path) -> None:
    with pytest.raises(InferenceError, match="3 classes apart, but 2"):
        Classifier(by_column, "AB").probabilities(glyph(1)[np.newaxis])


@pytest.mark.parametrize(
    "glyphs", [np.zeros((28, 28), np.uint8), np.zeros((1, 28, 28), np.float32), np.zeros((1, 32, 32), np.uint8)]
)
def test_it_rejects_what_is_no_batch_of_glyphs(by_column: Path, glyphs: np.ndarray) -> None:
    with pytest.raises(ValueError, match="uint8 glyphs"):
        Classifier(by_column, "ABC").probabilities(glyphs)


def test_guesses_come_likeliest_first() -> None:
    assert guesses(np.array([0.1, 0.6, 0.3]), "ABC", 2) == [("B", 0.6), ("C", 0.3)]


def test_it_needs_no_training_framework() -> None:
    program = "import sys, handwriting.inference; sys.exit(bool({'torch', 'onnx', 'matplotlib'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
