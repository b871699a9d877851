"""Where a training stood after its last whole epoch, in a file from which it goes on.

The file is NumPy's npz: the tensors as arrays, all else as JSON, so nothing in it can run. One that is damaged, or of
another training, is as good as none.
"""

import json
import logging
from collections.abc import Mapping
from hashlib import blake2b
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

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
    arrays: list[npt.NDArray[Any]] = []
    text = json.dumps([mark, _taken_apart(state, arrays)])
    named: dict[str, Any] = {str(number): array for number, array in enumerate(arrays)}
    beside = path.with_suffix(".part")
    with beside.open("wb") as file:
        np.savez(file, json=np.array(text), **named)
    beside.replace(path)


def read(path: Path, mark: str) -> dict[str, Any] | None:
    """Return the state that was written with this ``mark``, or None."""
    try:
        with np.load(path, allow_pickle=False) as stored:
            written, parts = json.loads(str(stored["json"]))
            state: dict[str, Any] | None = _put_together(parts, stored) if written == mark else None
    except FileNotFoundError:
        return None
    except (OSError, EOFError, KeyError, TypeError, ValueError, BadZipFile) as fault:
        _log.warning("The checkpoint %s can't be read, so training starts anew: %s", path, fault)
        return None
    if state is None:
        _log.info("The checkpoint %s is of another training, so this one starts anew.", path)
    return state


def _taken_apart(value: Any, arrays: list[npt.NDArray[Any]]) -> Any:
    """Return ``value`` as JSON takes it: tensors go to ``arrays``, dicts become pairs, since keys may be numbers."""
    match value:
        case torch.Tensor():
            arrays.append(value.detach().cpu().numpy())
            # Optimizers that work on memory as it lies need the layout of before.
            last = value.dim() == 4 and value.is_contiguous(memory_format=torch.channels_last)
            return {"tensor": len(arrays) - 1, "channels_last": last}
        case dict():
            return {"pairs": [[key, _taken_apart(one, arrays)] for key, one in value.items()]}
        case list() | tuple():
            return [_taken_apart(one, arrays) for one in value]
        case _:
            return value


def _put_together(value: Any, stored: Mapping[str, npt.NDArray[Any]]) -> Any:
    match value:
        case {"tensor": number, "channels_last": last}:
            tensor = torch.from_numpy(stored[str(number)])
            return tensor.contiguous(memory_format=torch.channels_last) if last else tensor
        case {"pairs": pairs}:
            return {key: _put_together(one, stored) for key, one in pairs}
        case list():
            return [_put_together(one, stored) for one in value]
        case _:
            return value
