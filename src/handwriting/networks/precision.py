"""Where to calculate, and in which numbers."""

import time
from functools import cache
from typing import Literal

import torch
from torch import nn

MARGIN = 1.2
"""How many times faster bfloat16 must be before its coarser numbers are worth it."""

Precision = Literal["auto", "float32", "bfloat16"]


def best_device() -> torch.device:
    """Return the GPU where there is one, else the CPU."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def precision_for(wanted: Precision, device: torch.device) -> str:
    """Return ``float32`` or ``bfloat16``; a CPU is timed, because without AVX-512 BF16 it is far slower in bfloat16."""
    if wanted != "auto":
        return wanted
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    return "bfloat16" if device.type == "cpu" and _bfloat16_pays() else "float32"


@cache
def _bfloat16_pays() -> bool:
    """Time a convolution there and back in both precisions, turn about so that a busy machine slows both alike."""
    layer = nn.Conv2d(32, 64, 3, padding=1).to(memory_format=torch.channels_last)
    images = torch.zeros(64, 32, 14, 14).contiguous(memory_format=torch.channels_last)
    best = {True: float("inf"), False: float("inf")}
    for _ in range(5):
        for enabled in (True, False):
            started = time.perf_counter()
            with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
                layer(images).float().sum().backward()
            best[enabled] = min(best[enabled], time.perf_counter() - started)
    return best[True] * MARGIN < best[False]
