"""Offsets of the tensors of a safetensors file, read from its header only. Needs no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Protocol

from plumbline.dlrm.errors import ModelError

ITEM_BYTES = {"F32": 4, "BF16": 2, "I8": 1}
"""Size of each dtype of a model's tensors, by the format's name of the dtype."""

_LENGTH_BYTES = 8
"""Size of the header's length field, little-endian, at the start of the file."""


@dataclass(frozen=True, slots=True)
class TensorSpan:
    """A tensor's `length` bytes at byte `offset` of the file; `dtype` is the format's name."""

    dtype: str
    shape: tuple[int, ...]
    offset: int
    length: int


class Readable(Protocol):
    """A binary file, or a mapping of one."""

    def read(self, length: int, /) -> bytes: ...


def read_spans(file: Path) -> dict[str, TensorSpan]:
    """Name to span of every tensor in the file; reads no tensor and checks no hash.

    Raises
    ------
    ModelError
        The file is missing, or not a safetensors file of float32, bfloat16 and int8.
    """
    if not file.is_file():
        raise ModelError.missing(str(file))
    with file.open("rb") as stream:
        return spans_in(stream, file.stat().st_size, str(file))


def spans_in(content: Readable, size: int, file: str) -> dict[str, TensorSpan]:
    """The same for `size` bytes read from the start of `content`; errors name `file`."""
    try:
        return _spans(content, size)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f"no safetensors file ({type(error).__name__} {error})"
        raise ModelError.unreadable(file, reason) from None


def _spans(content: Readable, size: int) -> dict[str, TensorSpan]:
    """See https://github.com/huggingface/safetensors#format."""
    header_bytes = int.from_bytes(content.read(_LENGTH_BYTES), "little")
    start = _LENGTH_BYTES + header_bytes
    if start > size:
        raise ValueError(f"a header of {header_bytes} bytes in a file of {size}")
    header: dict[str, Any] = json.loads(content.read(header_bytes))
    header.pop("__metadata__", None)
    return {name: _span(name, entry, start, size) for name, entry in header.items()}


def _span(name: str, entry: Mapping[str, Any], start: int, size: int) -> TensorSpan:
    dtype = str(entry["dtype"])
    if dtype not in ITEM_BYTES:
        raise ValueError(f"{name}: wanted {' or '.join(ITEM_BYTES)}, got {dtype}")
    shape = tuple(int(length) for length in entry["shape"])
    first, last = (start + int(offset) for offset in entry["data_offsets"])
    if min(shape, default=0) < 0 or not start <= first <= last <= size:
        raise ValueError(f"{name}: shape {shape} at bytes {first} to {last} of {size}")
    wanted = prod(shape) * ITEM_BYTES[dtype]
    if last - first != wanted:
        raise ValueError(f"{name}: wanted {wanted} bytes, got {last - first}")
    return TensorSpan(dtype, shape, first, wanted)
