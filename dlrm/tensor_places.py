"""Where the tensors of a safetensors file lie, read from its header alone."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from features.errors import ModelError

_LENGTH_BYTES = 8
"""The header's length, little-endian, in front of it."""


@dataclass(frozen=True, slots=True)
class TensorPlace:
    """A tensor's `length` bytes from byte `offset` of the file on; `dtype` is the format's name."""

    dtype: str
    shape: tuple[int, ...]
    offset: int
    length: int


def read_places(file: Path) -> dict[str, TensorPlace]:
    """Name to place of every tensor in the file; no tensor is read, and no hash is checked.

    Raises ModelError where the file is missing or has no such header.
    https://github.com/huggingface/safetensors#format
    """
    if not file.is_file():
        raise ModelError.missing(str(file))
    try:
        with file.open("rb") as stream:
            length = int.from_bytes(stream.read(_LENGTH_BYTES), "little")
            header = json.loads(stream.read(min(length, file.stat().st_size)))
        header.pop("__metadata__", None)
        start = _LENGTH_BYTES + length
        return {name: _place(form, start) for name, form in header.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        reason = f"no safetensors file ({type(error).__name__} {error})"
        raise ModelError.unreadable(str(file), reason) from None


def _place(form: Any, start: int) -> TensorPlace:
    begin, end = (int(bound) for bound in form["data_offsets"])
    shape = tuple(int(size) for size in form["shape"])
    return TensorPlace(str(form["dtype"]), shape, start + begin, end - begin)
