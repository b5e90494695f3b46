"""A model whose hashes fit is refused for what its card or its tensors say, in one line."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from plumbline.base.files import json_sha256
from plumbline.dlrm.errors import ModelError
from plumbline.dlrm.model.weights import load_model
from plumbline.dlrm.onnx.export import write_onnx
from plumbline.dlrm.score.quantized_model import write_quantized_model
from plumbline.dlrm.score.scorer import Scorer
from plumbline.dlrm.tensors.mapped_tensors import map_tensors
from tests.hostile.signing import sign

READERS: dict[str, Callable[[Path], object]] = {
    "score": lambda folder: Scorer.load(folder, None),
    "torch": load_model,
    "quantize": lambda folder: write_quantized_model(folder, folder.parent / "new"),
    "onnx": lambda folder: write_onnx(folder, folder.parent / "model.onnx"),
}

ARCHITECTURES: dict[str, tuple[str, Any, str]] = {
    "negative rows": ("cardinalities", [-1] * 13, r"cardinalities\[0\]: wanted 1 to"),
    "rows beyond 64 bits": (
        "cardinalities",
        [2**63] * 13,
        r"cardinalities\[0\]: wanted an integer",
    ),
    "more rows": ("cardinalities", [2**62] * 13, "tables.weight: wanted"),
    "fewer tables": ("cardinalities", [3], "wanted a cardinality for each of 13"),
    "half a row": ("cardinalities", [2.5] * 13, "wanted an integer"),
    "no length": ("embedding_dim", 0, "embedding_dim: wanted 1 to"),
    "a huge length": ("embedding_dim", 2**40, "bottom_mlp has to end in embedding_dim"),
    "a layer of no width": ("top_mlp", [0], r"top_mlp\[0\]: wanted 1 to"),
    "a layer of another width": ("top_mlp", [2**40], "wanted .*1099511627776"),
    "many layers": ("top_mlp", [8] * 1000, "top.1.(bias|weight): wanted"),
    "widths as text": ("top_mlp", "8", "top_mlp: wanted a list, got '8'"),
    "a column twice": ("continuous", ["te"] * 12, "columns of different names"),
    "names that are none": ("continuous", [1] * 12, "wanted text, got 1"),
    "positions without weights": ("bag_positions", 4, "none with another"),
    "an unknown key": ("layers", 3, "wanted ..bag"),
    "an unknown precision": ("embedding_rows", "fp8", "wanted one of fp32, bf16"),
}


def change_card(folder: Path, key: str, value: Any) -> None:
    content = json.loads((folder / "model.json").read_bytes())
    content["architecture"][key] = value
    (folder / "model.json").write_text(json.dumps(content))
    sign(folder)


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_wrong_architecture(folder: Path, name: str, reader: str) -> None:
    key, value, message = ARCHITECTURES[name]
    change_card(folder / "model", key, value)
    with pytest.raises(ModelError, match=message) as raised:
        READERS[reader](folder / "model")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("plan_hash", 5, "plan_hash: wanted text, got 5"),
        ("weights_sha256", None, "weights_sha256: wanted text, got None"),
        ("quantized_from", "x", "quantized_from is for format version 4"),
        ("architecture", [], "wanted an object"),
        ("format_version", "x", "not a trained model"),
        ("more", 1, "wanted .'plan_hash'"),
    ],
)
def test_a_wrong_card(folder: Path, key: str, value: Any, message: str) -> None:
    file = folder / "model" / "model.json"
    content = {**json.loads(file.read_bytes()), key: value}
    del content["model_hash"]
    file.write_text(json.dumps({**content, "model_hash": json_sha256(content)}))
    with pytest.raises(ModelError, match=message):
        Scorer.load(folder / "model", None)


def test_a_card_nested_too_deeply(folder: Path) -> None:
    file = folder / "model" / "model.json"
    file.write_text('{"a":' * 100_000 + "1" + "}" * 100_000)
    with pytest.raises(ModelError, match="nested too deeply"):
        Scorer.load(folder / "model", None)


def tensors(folder: Path, header: Any, data: bytes) -> None:
    """Write the weights with this header."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)
    sign(folder)


def entry(**changes: Any) -> dict[str, Any]:
    return {"t": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **changes}}


HEADERS: dict[str, tuple[Any, str]] = {
    "nested too deeply": (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "nested too deeply"),
    "an infinite number": (b'{"t": {"shape": [1e999]}}', "not finite"),
    "a list": ([], "wanted an object as header"),
    "a tensor that is none": ({"t": 5}, "t: wanted an object"),
    "a shape of text": (entry(shape="2"), "shape: wanted a list"),
    "a shape of fractions": (entry(shape=[2.0]), "wanted an integer"),
    "a shape of bools": (entry(shape=[True, 2]), "wanted an integer"),
    "a product of 2^64 + 2": (entry(shape=[2**62, 2**62]), "wanted 8507059"),
    "a shape of many numbers": (entry(shape=[1] * 9), "8 dimensions at most"),
    "one offset": (entry(data_offsets=[0]), "not enough values"),
    "an offset beyond the file": (entry(data_offsets=[2**40, 2**40 + 8]), "wanted it to begin"),
    "an unknown key": (entry(extra=1), "wanted .'data_offsets'"),
    "overlapping tensors": (entry() | {"u": entry()["t"]}, "u: wanted it to begin at byte"),
    "a gap": (entry(data_offsets=[1, 9]), "t: wanted it to begin at byte"),
}


@pytest.mark.parametrize("name", HEADERS)
def test_a_wrong_header(folder: Path, name: str) -> None:
    header, message = HEADERS[name]
    tensors(folder / "model", header, bytes(8))
    with pytest.raises(ModelError, match=message):
        Scorer.load(folder / "model", None)
    with pytest.raises(ModelError, match="not a trained model"):
        load_model(folder / "model")


@pytest.mark.parametrize("length", [0, 2**31, 2**63, 2**64 - 1, 100_000_001])
def test_a_header_of_a_wrong_length(folder: Path, length: int) -> None:
    file = folder / "model" / "model.safetensors"
    file.write_bytes(struct.pack("<Q", length) + file.read_bytes()[8:])
    sign(folder / "model")
    with pytest.raises(ModelError, match="no safetensors file"):
        Scorer.load(folder / "model", None)


@pytest.mark.parametrize("name", ["tables.weight", "tables.scale", "top.0.scale", "last.bias"])
def test_quantized_tensors_of_another_shape(folder: Path, name: str) -> None:
    file = folder / "int8" / "model.safetensors"
    weights = load_file(file)
    weights[name] = weights[name][:-1].copy()
    save_file(weights, file)
    sign(folder / "int8")
    with pytest.raises(ModelError, match=f"{name}: wanted"):
        Scorer.load(folder / "int8", None, precision="int8")


def test_tensors_that_are_not_aligned_are_copied(tmp_path: Path) -> None:
    """As behind a table of bfloat16 with an odd number of elements."""
    header = {
        "half": {"dtype": "BF16", "shape": [1], "data_offsets": [0, 2]},
        "t": {"dtype": "F32", "shape": [2], "data_offsets": [2, 10]},
    }
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model.json").write_text("{}")
    data = bytes(2) + np.array([1.5, -2.0], np.float32).tobytes()
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    tensors(folder, text, data)
    sha256 = json.loads((folder / "model.json").read_bytes())["weights_sha256"]
    mapped = map_tensors(folder / "model.safetensors", sha256)["t"]
    assert mapped.flags.aligned
    assert mapped.tolist() == [1.5, -2.0]
