"""The tensors of a safetensors file as arrays on the mapped file: nothing is read but the header.

The pages are the system's own copy of the file, so all processes that map it share them. Needs no
torch.
"""

from __future__ import annotations

import json
import mmap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.errors import ModelError
from features.hashing import file_sha256

DTYPES: dict[str, Any] = {"F32": np.dtype("<f4"), "BF16": np.dtype("<u2")}
"""Of the tensors of a model; NumPy has no bfloat16: its bits are given as uint16."""

POPULATE_READ = 22
"""Linux's MADV_POPULATE_READ, which Python has no name for."""


def map_tensors(file: Path, sha256: str) -> dict[str, NDArray[Any]]:
    """Read-only arrays of float32, or of bfloat16 as uint16; the file's hash is checked first.

    Raises
    ------
    ModelError
        The file is missing, changed, or no safetensors file of such tensors.
    """
    if not file.is_file():
        raise ModelError.missing(str(file))
    came = file_sha256(file)
    if came != sha256:
        raise ModelError.damaged(str(file), sha256, came)
    with file.open("rb") as stream:
        try:
            mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
            return _tensors(mapped)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            reason = f"no safetensors file ({type(error).__name__} {error})"
            raise ModelError.unreadable(str(file), reason) from None


def make_resident(tensor: NDArray[Any]) -> None:
    """Let the process see the pages of a mapped tensor now, not at the first look at each.

    Where the system has no such call (Linux before 5.14), each page comes when it is looked at.
    """
    mapped: Any = tensor
    while isinstance(mapped, np.ndarray):
        mapped = mapped.base
    if isinstance(mapped, memoryview) and isinstance(mapped.obj, mmap.mmap):
        try:
            mapped.obj.madvise(POPULATE_READ)
        except OSError:
            return


def _tensors(mapped: mmap.mmap) -> dict[str, NDArray[Any]]:
    """See https://github.com/huggingface/safetensors#format."""
    header_bytes = int.from_bytes(mapped[:8], "little")
    start = 8 + header_bytes
    if start > len(mapped):
        raise ValueError(f"a header of {header_bytes} bytes in a file of {len(mapped)}")
    header: dict[str, Any] = json.loads(mapped[8:start])
    header.pop("__metadata__", None)
    return {name: _tensor(mapped, start, name, entry) for name, entry in header.items()}


def _tensor(mapped: mmap.mmap, start: int, name: str, entry: Mapping[str, Any]) -> NDArray[Any]:
    if entry["dtype"] not in DTYPES:
        raise ValueError(f"{name}: wanted {' or '.join(DTYPES)}, got {entry['dtype']}")
    dtype = DTYPES[entry["dtype"]]
    shape = tuple(int(length) for length in entry["shape"])
    count = int(np.prod(shape, dtype=np.int64))
    first, last = (start + int(offset) for offset in entry["data_offsets"])
    if min(shape, default=0) < 0 or not start <= first <= last <= len(mapped):
        raise ValueError(f"{name}: shape {shape} at bytes {first} to {last} of {len(mapped)}")
    if last - first != count * dtype.itemsize:
        raise ValueError(f"{name}: wanted {count * dtype.itemsize} bytes, got {last - first}")
    return np.frombuffer(mapped, dtype, count, first).reshape(shape)
