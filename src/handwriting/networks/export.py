"""From a trained network to the ONNX file that serves it."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from torch import Tensor, nn

from handwriting.networks.architectures import Network
from handwriting.networks.training import scaled

OPSET = 18
CALIBRATION = 256
"""Glyphs that show a quantiser the range of each layer."""


class Served(nn.Module):  # type: ignore[misc]
    """A network with all that surrounds it in use: glyphs as they are stored in, probabilities out."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, glyphs: Tensor) -> Tensor:
        """Return probabilities ``(n, classes)`` for uint8 ``glyphs`` ``(n, 28, 28)``."""
        return self.network(scaled(glyphs.unsqueeze(1))).softmax(1)


def export(network: Network, path: Path) -> None:
    """Write ``network`` to ``path`` as ONNX: input ``glyphs`` uint8 (n, 28, 28), output ``probabilities`` float32."""
    with _quiet():
        torch.onnx.export(
            Served(network).eval(),
            (torch.zeros(2, 28, 28, dtype=torch.uint8),),
            path,
            input_names=["glyphs"],
            output_names=["probabilities"],
            dynamic_shapes={"glyphs": {0: torch.export.Dim("n")}},
            opset_version=OPSET,
            external_data=False,
            verbose=False,
        )


def quantise(source: Path, path: Path, glyphs: npt.NDArray[np.uint8]) -> None:
    """Write the network of ``source`` to ``path`` with 8-bit weights and features, a scale for every channel.

    ``glyphs`` ``(n, 28, 28)`` should be like those that it was trained on; a few hundred are enough. The result is
    a quarter of the size, in memory too. Softmax stays in float, so that probabilities keep their precision.
    """
    with _quiet():
        quantize_static(
            source,
            path,
            _Samples(glyphs[:CALIBRATION]),
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            op_types_to_quantize=["Conv", "Gemm", "MatMul", "MaxPool", "Add"],
        )


class _Samples(CalibrationDataReader):  # type: ignore[misc]
    """Hands glyphs to the quantiser, a batch at a time."""

    def __init__(self, glyphs: npt.NDArray[np.uint8]) -> None:
        self._batches = iter([glyphs[start : start + 64] for start in range(0, len(glyphs), 64)])

    def get_next(self) -> dict[str, npt.NDArray[np.uint8]] | None:
        """Return the inputs of the next batch, or None after the last."""
        batch = next(self._batches, None)
        return None if batch is None else {"glyphs": batch}


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence the exporters: they advise on packages and preparations that these networks do not need."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
