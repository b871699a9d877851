"""Glyphs that even a small network learns in a second."""

import numpy as np
import pytest
import torch


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def bars() -> tuple[np.ndarray, np.ndarray]:
    """Three classes: a bar that lies, a bar that stands, and both; with noise."""
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 3, 300)
    glyphs = rng.integers(0, 60, (300, 28, 28), dtype=np.uint8)
    for glyph, label in zip(glyphs, labels, strict=True):
        at = rng.integers(10, 18)
        if label in {0, 2}:
            glyph[at : at + 3, 4:24] = 255
        if label in {1, 2}:
            glyph[4:24, at : at + 3] = 255
    return glyphs, labels
