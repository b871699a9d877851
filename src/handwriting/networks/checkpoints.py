"""Where a training stood after its last whole epoch, in a file from which it goes on.

The file is read as weights only, so that nothing in it can run. One that is damaged, or of another training, is as good
as none.
"""

import logging
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

_log = logging.getLogger(__name__)


def mark_of(description: str, *arrays: npt.NDArray[Any] | None) -> str:
    """Return what a training is known by: the same words about the same arrays."""
    digest = blake2b(description.encode(), digest_size=16)
    for array in arrays:
        digest.update(b"-" if array is None else repr((array.dtype.str, array.shape)).encode())
        if array is not None:
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def write(path: Path, mark: str, state: dict[str, Any]) -> None:
    """Write ``state`` (tensors, numbers, texts, and lists and dicts of them), whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".part")
    torch.save({"mark": mark, "state": state}, beside)
    beside.replace(path)


def read(path: Path, mark: str) -> dict[str, Any] | None:
    """Return the state that was written with this ``mark``, or None."""
    try:
        stored = torch.load(path, weights_only=True, map_location="cpu")
        state: dict[str, Any] | None = stored["state"] if stored["mark"] == mark else None
    except FileNotFoundError:
        return None
    except Exception as fault:  # noqa: BLE001 -- PyTorch raises a dozen unrelated classes over a damaged file.
        _log.warning("The checkpoint %s can't be read, so training starts anew: %s", path, fault)
        return None
    if state is None:
        _log.info("The checkpoint %s is of another training, so this one starts anew.", path)
    return state
