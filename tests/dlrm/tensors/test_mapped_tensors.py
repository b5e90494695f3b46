"""Mapped weights equal the written ones, or are refused with the file's name."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from plumbline.base.files import file_sha256, map_verified
from plumbline.dlrm.errors import ModelError
from plumbline.dlrm.tensors.mapped_tensors import map_tensors
from plumbline.dlrm.tensors.tensor_file import write_tensors


def test_there_and_back(tmp_path: Path) -> None:
    file = tmp_path / "t.safetensors"
    tensors = {"rows": torch.randn(7, 5), "empty": torch.ones(0, 3), "one": torch.ones(1)}
    half = torch.randn(4, 3).bfloat16()
    tensors["bytes"] = torch.tensor([[-127, 0, 127]], dtype=torch.int8)
    sha256 = write_tensors(file, {**tensors, "half": half})
    actual = map_tensors(file, sha256)
    for name, tensor in tensors.items():
        assert np.array_equal(actual[name], tensor.numpy())
        assert not actual[name].flags.writeable
    assert actual["half"].dtype == np.uint16
    assert np.array_equal(actual["half"], half.view(torch.uint16).numpy())
    assert list(actual) == ["rows", "empty", "one", "bytes", "half"]


def test_missing_and_changed_files_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "t.safetensors"
    with pytest.raises(ModelError, match=r"t\.safetensors: missing from the model"):
        map_tensors(file, "ab" * 32)
    sha256 = write_tensors(file, {"rows": torch.ones(3)})
    file.write_bytes(file.read_bytes()[:-1] + b"\1")
    with pytest.raises(ModelError, match=r"t\.safetensors: wanted SHA-256 \w{12}…, found"):
        map_tensors(file, sha256)


def header(name: str = "t", **changes: object) -> bytes:
    entry = {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24], **changes}
    text = json.dumps({name: entry}).encode()
    return len(text).to_bytes(8, "little") + text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no safetensors file"),
        (b"not tensors", "a header of 8317697111234998126 bytes in a file of 11"),
        ((2).to_bytes(8, "little") + b"[]", "no safetensors file"),
        ((3).to_bytes(8, "little") + b"{}}", "no safetensors file"),
        (header(dtype="F64") + bytes(24), "t: dtype: wanted one of F32, BF16, I8, got 'F64'"),
        (header(shape=[2, 4]) + bytes(24), "t: wanted 32 bytes, got 24"),
        (header(shape=[-2, -3]) + bytes(24), r"t: shape\[0\]: wanted 0 to \d+, got -2"),
        (header(data_offsets=[-24, 0]) + bytes(24), r"t: data_offsets\[0\]: wanted 0 to"),
        (header() + bytes(23), "wanted 97 bytes, the end of the last tensor, got 96"),
        (header(data_offsets=[8, 24]) + bytes(24), "t: wanted 24 bytes, got 16"),
        (header(data_offsets=None) + bytes(24), "no safetensors file"),
    ],
)
def test_other_files_than_safetensors_are_refused(
    tmp_path: Path, content: bytes, message: str
) -> None:
    file = tmp_path / "x.safetensors"
    file.write_bytes(content)
    with pytest.raises(ModelError, match=r"x\.safetensors: not a trained model.*" + message):
        map_tensors(file, file_sha256(file))


def test_the_mapping_asks_for_large_pages_and_keeps_used_ones(tmp_path: Path) -> None:
    file = tmp_path / "mapped"
    file.write_bytes(bytes(1 << 16))
    mapped = map_verified(file, file_sha256(file), ModelError)
    areas = Path("/proc/self/smaps").read_text().split(str(file))
    flags = areas[1].split("VmFlags:")[1].splitlines()[0].split()
    assert "rr" not in flags and "sr" not in flags  # such look-ups are no uses of a page
    assert "hg" in flags or not Path("/sys/kernel/mm/transparent_hugepage").exists()
    assert len(mapped) == 1 << 16
