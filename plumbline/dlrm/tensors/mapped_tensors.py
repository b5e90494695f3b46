"""The tensors of a safetensors file as arrays on the mapped file. Needs no torch.

The pages are the system's own copy of the file, so all processes that map it share them. The hash
is taken over the mapping: what was hashed is what is used, and the process has seen every page when
the first row is looked up.
"""

from __future__ import annotations

import hashlib
import mmap
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plumbline.base.errors import ModelError
from plumbline.dlrm.tensors.tensor_offsets import TensorSpan, spans_in

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
    spans = spans_in(mapped, len(mapped), str(file))
    return {name: _tensor(mapped, span) for name, span in spans.items()}


def _sha256(mapped: mmap.mmap) -> str:
    digest = hashlib.sha256()
    mapped.madvise(mmap.MADV_SEQUENTIAL)
    with memoryview(mapped) as content:
        for start in range(0, len(content), HASHED_AT_A_TIME):
            digest.update(content[start : start + HASHED_AT_A_TIME])
    mapped.madvise(mmap.MADV_RANDOM)
    return digest.hexdigest()


def _tensor(mapped: mmap.mmap, span: TensorSpan) -> NDArray[Any]:
    dtype = DTYPES[span.dtype]
    count = span.length // dtype.itemsize
    return np.frombuffer(mapped, dtype, count, span.offset).reshape(span.shape)
