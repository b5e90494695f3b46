"""Offsets of the tensors of a safetensors file, read from its header only. Needs no torch."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Literal, Protocol

from plumbline.base.inside import file_inside
from plumbline.base.json_fields import Count, from_json, shown
from plumbline.base.json_text import parse_json
from plumbline.dlrm.errors import ModelError

ITEM_BYTES = {"F32": 4, "BF16": 2, "I8": 1}
"""Size of each dtype of a model's tensors, by the format's name of the dtype."""

_LENGTH_BYTES = 8
"""Size of the header's length field, little-endian, at the start of the file."""
_MOST_HEADER_BYTES = 100_000_000
"""As in the safetensors library."""
_MOST_DIMENSIONS = 8


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
    file_inside(file.parent, file.name, ModelError)
    with file.open("rb") as stream:
        return spans_in(stream, file.stat().st_size, str(file))


def spans_in(content: Readable, size: int, file: str) -> dict[str, TensorSpan]:
    """The same for `size` bytes read from the start of `content`; errors name `file`."""
    try:
        return _spans(content, size)
    except ValueError as error:
        reason = f"no safetensors file ({type(error).__name__} {error})"
        raise ModelError.unreadable(file, reason) from None


def _spans(content: Readable, size: int) -> dict[str, TensorSpan]:
    """See https://github.com/huggingface/safetensors#format."""
    header_bytes = int.from_bytes(content.read(_LENGTH_BYTES), "little")
    start = _LENGTH_BYTES + header_bytes
    if start > size or header_bytes > _MOST_HEADER_BYTES:
        raise ValueError(f"a header of {header_bytes} bytes in a file of {size}")
    header = parse_json(content.read(header_bytes))
    if not isinstance(header, dict):
        raise ValueError(f"wanted an object as header, got {shown(header)}")
    header.pop("__metadata__", None)
    spans = {name: _span(name, entry, start) for name, entry in header.items()}
    end = start
    for name, span in sorted(spans.items(), key=lambda item: (item[1].offset, item[1].length)):
        if span.offset != end:
            raise ValueError(f"{name}: wanted it to begin at byte {end}, got {span.offset}")
        end += span.length
    if end != size:
        raise ValueError(f"wanted {end} bytes, the end of the last tensor, got {size}")
    return spans


@dataclass(frozen=True, slots=True)
class _Entry:
    """A tensor's entry in the header."""

    dtype: Literal["F32", "BF16", "I8"]
    shape: tuple[Count, ...]
    data_offsets: tuple[Count, ...]


def _span(name: str, content: Any, start: int) -> TensorSpan:
    try:
        entry = from_json(_Entry, content)
        first, last = entry.data_offsets
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None
    if len(entry.shape) > _MOST_DIMENSIONS:
        raise ValueError(f"{name}: wanted {_MOST_DIMENSIONS} dimensions at most")
    wanted = prod(entry.shape) * ITEM_BYTES[entry.dtype]
    if last - first != wanted:
        raise ValueError(f"{name}: wanted {wanted} bytes, got {last - first}")
    return TensorSpan(entry.dtype, entry.shape, start + first, wanted)
