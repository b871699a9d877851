"""Class probabilities for glyphs, through ONNX Runtime. No training framework is needed or loaded."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime

BATCH = 256
"""Glyphs a call: enough to keep a core busy, few enough that features stay within tens of megabytes."""


class InferenceError(Exception):
    """A network's file can't be read or used; the message says which file and why."""


class Classifier:
    """One exported network. The file is read at the first prediction."""

    def __init__(self, path: Path, classes: Sequence[str], *, threads: int = 1) -> None:
        self.path = path
        self.classes = tuple(classes)
        self.threads = threads

    def probabilities(self, glyphs: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        """Return ``(n, classes)`` for uint8 ``glyphs`` ``(n, 28, 28)``; rows add up to 1.

        Raises ValueError when the glyphs have another shape or type, InferenceError when the file is of no use.
        """
        if glyphs.dtype != np.uint8 or glyphs.ndim != 3 or glyphs.shape[1:] != (28, 28):
            raise ValueError(f"a network reads uint8 glyphs (n, 28, 28), not {glyphs.dtype} {glyphs.shape}")
        said = np.empty((len(glyphs), len(self.classes)), np.float32)
        for start in range(0, len(glyphs), BATCH):
            batch = np.ascontiguousarray(glyphs[start : start + BATCH])
            said[start : start + BATCH] = self._session.run(["probabilities"], {"glyphs": batch})[0]
        return said

    @cached_property
    def _session(self) -> onnxruntime.InferenceSession:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        options.enable_cpu_mem_arena = False  # The arena keeps the largest batch's memory for good.
        options.log_severity_level = 3
        try:
            session = onnxruntime.InferenceSession(self.path, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime raises a dozen unrelated classes of its own.
            raise InferenceError(f"{self.path} is no ONNX file that can be used here: {error}") from error
        outputs = session.get_outputs()[0].shape[-1]
        if outputs != len(self.classes):
            raise InferenceError(f"{self.path} tells {outputs} classes apart, but {len(self.classes)} are named")
        return session


def guesses(row: npt.NDArray[np.floating], classes: Sequence[str], top: int = 3) -> list[tuple[str, float]]:
    """Return the ``top`` likeliest characters of one row of probabilities, the likeliest first."""
    order = np.argsort(-row, kind="stable")[:top]
    return [(classes[position], float(row[position])) for position in order]
