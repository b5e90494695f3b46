"""Named tensors in a safetensors file, written whole or not at all, and checked by hash."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from features.errors import ModelError
from features.hashing import file_sha256


def write_tensors(file: Path, tensors: Mapping[str, Tensor]) -> str:
    """Write to a file of another name, which is then renamed; returns its SHA-256.

    Tensors of any device, strided or not; no two may share memory.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(file.name + ".partial")
    save_file(
        {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, partial
    )
    with partial.open("rb") as stream:
        os.fsync(stream.fileno())
    digest = file_sha256(partial)
    partial.replace(file)
    return digest


def read_tensors(file: Path, sha256: str) -> dict[str, Tensor]:
    """Read tensors to the CPU; raises ModelError where the file is missing, changed or no such."""
    if not file.is_file():
        raise ModelError.missing(str(file))
    came = file_sha256(file)
    if came != sha256:
        raise ModelError.damaged(str(file), sha256, came)
    try:
        return load_file(file)
    except SafetensorError as error:
        raise ModelError.unreadable(str(file), f"no safetensors file ({error})") from None
