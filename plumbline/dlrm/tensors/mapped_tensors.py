"""The tensors of a safetensors file as memory-mapped arrays. Needs no torch.

The pages belong to the page cache, so all processes that map the file share them.
"""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from plumbline.base.files import map_verified
from plumbline.base.inside import file_inside
from plumbline.dlrm.errors import ModelError
from plumbline.dlrm.tensors.tensor_offsets import TensorSpan, spans_in

TensorShape: TypeAlias = tuple[tuple[int, ...], np.dtype[Any]]

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
        mapped = map_verified(file_inside(file.parent, file.name, ModelError), sha256, ModelError)
    except ValueError as error:  # an empty file
        raise ModelError.unreadable(str(file), f"no safetensors file ({error})") from None
    spans = spans_in(mapped, len(mapped), str(file))
    return {name: _tensor(mapped, span) for name, span in spans.items()}


def shapes_of(tensors: Mapping[str, NDArray[Any]]) -> dict[str, TensorShape]:
    """Shape and dtype of each tensor."""
    return {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()}


def shapes_in(spans: Mapping[str, TensorSpan]) -> dict[str, TensorShape]:
    """The same of tensors that are not read."""
    return {name: (span.shape, DTYPES[span.dtype]) for name, span in spans.items()}


def _tensor(mapped: mmap.mmap, span: TensorSpan) -> NDArray[Any]:
    dtype = DTYPES[span.dtype]
    count = span.length // dtype.itemsize
    values = np.frombuffer(mapped, dtype, count, span.offset) if count else np.empty(0, dtype)
    if not values.flags.aligned:  # behind a table of bfloat16; native code wants aligned numbers
        values = values.copy()
    values.flags.writeable = False
    return values.reshape(span.shape)
