"""The tensors of a safetensors file as memory-mapped arrays. Needs no torch.

The pages belong to the page cache, so all processes that map the file share them.
"""

from __future__ import annotations

import mmap
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from plumbline.base.files import map_verified
from plumbline.dlrm.errors import ModelError
from plumbline.dlrm.tensors.tensor_offsets import TensorSpan, spans_in

DTYPES: dict[str, Any] = {"F32": np.dtype("<f4"), "BF16": np.dtype("<u2"), "I8": np.dtype("i1")}
"""Dtypes of a model's tensors; NumPy has no bfloat16, so its bits are uint16."""


def map_tensors(file: Path, sha256: str) -> dict[str, NDArray[Any]]:
    """Read-only arrays of float32, int8, or bfloat16 as uint16; checks the file's hash first.

    Raises
    ------
    ModelError
        The file is missing, changed, or not a safetensors file of such tensors.
    """
    try:
        mapped = map_verified(file, sha256, ModelError)
    except ValueError as error:  # an empty file
        raise ModelError.unreadable(str(file), f"no safetensors file ({error})") from None
    spans = spans_in(mapped, len(mapped), str(file))
    return {name: _tensor(mapped, span) for name, span in spans.items()}


def _tensor(mapped: mmap.mmap, span: TensorSpan) -> NDArray[Any]:
    dtype = DTYPES[span.dtype]
    count = span.length // dtype.itemsize
    return np.frombuffer(mapped, dtype, count, span.offset).reshape(span.shape)
