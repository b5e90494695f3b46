"""Named tensors in a safetensors file, written atomically and checked by hash."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from plumbline.base.files import require_sha256
from plumbline.dlrm.errors import ModelError

DTYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int8: "I8",
}
"""The format's names of the dtypes that are written here."""

CHUNK_BYTES = 64 << 20


def write_tensors(file: Path, tensors: Mapping[str, Tensor]) -> str:
    """Write a temporary file, then rename it; returns its SHA-256.

    Tensors may be on any device and strided. They are written piece by piece, so tables that fill
    most of the memory can be written too; the safetensors library's writer makes a copy.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(file.name + ".partial")
    digest = hashlib.sha256()
    with partial.open("wb") as stream:
        for piece in _pieces(tensors):
            digest.update(piece)
            stream.write(piece)
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(file)
    return digest.hexdigest()


def _pieces(tensors: Mapping[str, Tensor]) -> Iterator[memoryview | bytes]:
    """The file's content: the header, and the tensors' bytes in order."""
    yield header_of({name: (tensor.dtype, tensor.shape) for name, tensor in tensors.items()})
    for tensor in tensors.values():
        yield from bytes_of(tensor)


def header_of(layouts: Mapping[str, tuple[torch.dtype, Sequence[int]]]) -> bytes:
    """The length of the header and the header, which the tensors' bytes follow in order.

    https://github.com/huggingface/safetensors#format
    """
    header, end = {}, 0
    for name, (dtype, shape) in layouts.items():
        begin, end = end, end + math.prod(shape) * dtype.itemsize
        header[name] = {
            "dtype": DTYPES[dtype],
            "shape": list(shape),
            "data_offsets": [begin, end],
        }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # aligns the tensors to 8 bytes
    return len(text).to_bytes(8, "little") + text


def bytes_of(tensor: Tensor) -> Iterator[memoryview]:
    """A tensor's bytes, piece by piece."""
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    step = CHUNK_BYTES // flat.element_size()
    for start in range(0, len(flat), step):
        yield flat[start : start + step].view(torch.uint8).numpy().data


def under(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names begin with the prefix, by their names without it."""
    return {
        name.removeprefix(prefix): tensor
        for name, tensor in tensors.items()
        if name.startswith(prefix)
    }


def read_tensors(file: Path, sha256: str) -> dict[str, Tensor]:
    """Read tensors to the CPU; raises ModelError if the file is missing, changed or malformed."""
    from safetensors import SafetensorError  # training without checkpoints does not need it
    from safetensors.torch import load_file

    require_sha256(file, sha256, ModelError)
    try:
        return load_file(file)
    except SafetensorError as error:
        raise ModelError.unreadable(str(file), f"no safetensors file ({error})") from None
