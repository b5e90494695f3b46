"""The tensors of a safetensors file as arrays on the mapped file. Needs no torch.

The pages are the system's own copy of the file, so all processes that map it share them. The hash
is taken over the mapping: what was hashed is what is used, and the process has seen every page when
the first row is looked up.
"""

from __future__ import annotations

import hashlib
import json
import mmap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from features.errors import ModelError

DTYPES: dict[str, Any] = {"F32": np.dtype("<f4"), "BF16": np.dtype("<u2")}
"""Of the tensors of a model; NumPy has no bfloat16: its bits are given as uint16."""

HASHED_AT_A_TIME = 64 << 20
"""Bytes; a signal waits for no more."""


def map_tensors(file: Path, sha256: str) -> dict[str, NDArray[Any]]:
    """Read-only arrays of float32, or of bfloat16 as uint16; the file's hash is checked first.

    Raises
    ------
    ModelError
        The file is missing, changed, or no safetensors file of such tensors.
    """
    if not file.is_file():
        raise ModelError.missing(str(file))
    with file.open("rb") as stream:
        try:
            mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError as error:  # an empty file
            raise ModelError.unreadable(str(file), f"no safetensors file ({error})") from None
    came = _sha256(mapped)
    if came != sha256:
        raise ModelError.damaged(str(file), sha256, came)
    try:
        return _tensors(mapped)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f"no safetensors file ({type(error).__name__} {error})"
        raise ModelError.unreadable(str(file), reason) from None


def _sha256(mapped: mmap.mmap) -> str:
    digest = hashlib.sha256()
    mapped.madvise(mmap.MADV_SEQUENTIAL)
    with memoryview(mapped) as content:
        for start in range(0, len(content), HASHED_AT_A_TIME):
            digest.update(content[start : start + HASHED_AT_A_TIME])
    mapped.madvise(mmap.MADV_RANDOM)
    return digest.hexdigest()


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
