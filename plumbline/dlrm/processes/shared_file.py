"""One safetensors file that several processes write, each the parts that it holds.

The file is the one that a single process would write, so any number of processes reads it. Each
process writes its parts through a mapping of the file, and reads its parts alone: none holds a
whole tensor of several parts. All processes have to see the same file system.
"""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from plumbline.base.files import file_sha256, flush, require_sha256
from plumbline.dlrm.errors import ModelError
from plumbline.dlrm.processes.group import Group
from plumbline.dlrm.tensors.tensor_file import bytes_of, header_of

CHUNK_NUMBERS = 1 << 24
"""Numbers of a part that are copied at a time."""


@dataclass(frozen=True, slots=True)
class Part:
    """A block of a larger float32 tensor, in memory that training uses.

    `first` is the index of its first number in the larger tensor.
    """

    first: tuple[int, ...]
    values: Tensor

    def chunks(self) -> Iterator[tuple[tuple[slice, ...], Tensor]]:
        """Indices in the larger tensor, and the values there as a view."""
        row_numbers = max(1, math.prod(self.values.shape[1:]))
        step = max(1, CHUNK_NUMBERS // row_numbers)
        for start in range(0, len(self.values), step):
            values = self.values[start : start + step]
            begins = (self.first[0] + start, *self.first[1:])
            yield (
                tuple(
                    slice(begin, begin + length)
                    for begin, length in zip(begins, values.shape, strict=True)
                ),
                values,
            )


@dataclass(frozen=True, slots=True)
class Parted:
    """A float32 tensor of this shape, and the parts of it that this process holds, maybe none."""

    shape: tuple[int, ...]
    parts: tuple[Part, ...]


def write_together(
    file: Path, parted: Mapping[str, Parted], whole: Mapping[str, Tensor], group: Group
) -> str:
    """Write a file with all tensors, `parted` first; returns its SHA-256 in every process.

    `whole` has the same tensors in every process. The file gets its name when it is complete.
    """
    layouts = {name: (torch.float32, tensor.shape) for name, tensor in parted.items()}
    layouts |= {name: (tensor.dtype, tuple(tensor.shape)) for name, tensor in whole.items()}
    header = header_of(layouts)
    sizes = {n: math.prod(shape) * dtype.itemsize for n, (dtype, shape) in layouts.items()}
    partial = file.with_name(file.name + ".partial")
    if group.leads:
        file.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as stream:
            total = len(header) + sum(sizes.values())
            os.posix_fallocate(stream.fileno(), 0, total)  # a full disk is an error, not a signal
            stream.write(header)
            stream.seek(len(header) + sum(sizes[name] for name in parted))
            for tensor in whole.values():
                stream.writelines(bytes_of(tensor))
    group.wait()
    begin = len(header)
    for name, of_parts in parted.items():
        _write_parts(partial, begin, of_parts)
        begin += sizes[name]
    flush(partial)
    group.wait()
    digest = torch.zeros(hashlib.sha256().digest_size, dtype=torch.uint8)
    if group.leads:
        sha256 = file_sha256(partial)
        partial.replace(file)
        flush(file.parent)
        digest = torch.tensor(list(bytes.fromhex(sha256)), dtype=torch.uint8)
    return bytes(group.broadcast_(digest).tolist()).hex()


def _write_parts(file: Path, begin: int, tensor: Parted) -> None:
    parts = [part for part in tensor.parts if part.values.numel()]
    if not parts:
        return
    mapped = np.memmap(file, np.float32, "r+", offset=begin, shape=tensor.shape)
    for part in parts:
        for place, values in part.chunks():
            mapped[place] = values.detach().cpu().numpy()
    mapped.flush()


def read_together(
    file: Path, sha256: str, parted: Mapping[str, Parted], group: Group
) -> dict[str, Tensor]:
    """Fill the parts from the file; returns the other tensors of it, on the CPU.

    Raises
    ------
    ModelError
        The file is missing, changed, malformed, or has not these tensors.
    """
    from safetensors import SafetensorError, safe_open

    if group.leads:
        require_sha256(file, sha256, ModelError)
    group.wait()
    try:
        with safe_open(file, "pt") as stored:
            for name, tensor in parted.items():
                stored_part = stored.get_slice(name)
                if tuple(stored_part.get_shape()) != tensor.shape:
                    raise ModelError.unreadable(
                        str(file), f"{name}: wanted {tensor.shape}, got {stored_part.get_shape()}"
                    )
                for part in tensor.parts:
                    for place, values in part.chunks():
                        values.copy_(stored_part[place])
            return {n: stored.get_tensor(n) for n in stored.keys() if n not in parted}  # noqa: SIM118
    except SafetensorError as error:
        raise ModelError.unreadable(str(file), f"no safetensors file ({error})") from None
