"""The exported ONNX model against the scorer, over random architectures, in ONNX Runtime."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from plumbline.columns.values import Lists, offsets_of
from plumbline.dlrm.errors import ModelError
from plumbline.dlrm.model.architecture import Architecture
from plumbline.dlrm.model.dlrm import DLRM
from plumbline.dlrm.model.model_card import write_model_card
from plumbline.dlrm.model.weights import save_model
from plumbline.dlrm.onnx.export import write_onnx
from plumbline.dlrm.onnx.padded_ids import PADDING, padded
from plumbline.dlrm.ops.embedding.pooling import POOLING_NUMBERS, Pooling
from plumbline.dlrm.score.scorer import Scorer


@st.composite
def architectures(draw: st.DrawFn) -> Architecture:
    sizes = draw(st.lists(st.integers(1, 40), max_size=5))
    continuous = draw(st.integers(0 if len(sizes) > 1 else 1, 4))
    names = tuple(f"c{number}" for number in range(len(sizes)))
    lists = draw(st.sets(st.sampled_from(names))) if names else set()
    dim = draw(st.integers(1, 17))
    widths = st.lists(st.integers(1, 20), max_size=3)
    bag = draw(st.sampled_from([*POOLING_NUMBERS]))
    return Architecture(
        categorical=names,
        cardinalities=tuple(sizes),
        continuous=tuple(f"i{number}" for number in range(continuous)),
        embedding_dim=dim,
        bottom_mlp=(*draw(widths), dim) if continuous else (),
        top_mlp=tuple(draw(widths)),
        bags=tuple(name for name in names if name in lists),
        bag=bag,
        bag_positions=draw(st.integers(1, 6)) if bag == "position_weighted" else None,
        embedding_rows=draw(st.sampled_from(["fp32", "bf16"])),
    )


def exported(folder: Path, architecture: Architecture, seed: int = 1) -> Scorer:
    """Write a model and its ONNX model to `folder`; returns the scorer that it must agree with."""
    model = DLRM(architecture, seed=seed)
    with torch.no_grad():
        model.tables.weight.mul_(100)  # N(0, 1), large enough to matter
        for weights_P in model.tables.position_weights:
            weights_P.uniform_(-1, 1, generator=torch.Generator().manual_seed(seed))
    save_model(folder / "model", model, "p" * 64)
    write_onnx(folder / "model", folder / "model.onnx")
    return Scorer.load(folder / "model", "p" * 64)


def session(file: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])


def random_rows(architecture: Architecture, rows: int, rng: np.random.Generator):
    sizes = dict(zip(architecture.categorical, architecture.cardinalities, strict=True))
    columns = [rng.integers(0, sizes[name], rows) for name in architecture.single]
    ids_BF = np.column_stack(columns) if columns else np.empty((rows, 0), np.int64)
    dense_BC = rng.normal(0, 3, (rows, len(architecture.continuous))).astype(np.float32)
    bags = []
    for name in architecture.bags:
        offsets = offsets_of(rng.integers(0, 5, rows))
        bags.append(Lists(rng.integers(0, sizes[name], offsets[-1]), offsets))
    return ids_BF, dense_BC, bags


def loader(ids_BF, dense_BC, bags):
    tensors = {"ids": ids_BF, "dense": dense_BC}
    tensors = {name: tensor for name, tensor in tensors.items() if tensor.shape[1]}
    return {**tensors, "padded_ids": padded(bags)} if bags else tensors


@settings(max_examples=60)
@given(architectures(), st.integers(0, 70), st.integers(0, 2**32 - 1))
def test_scores_equal_the_scorers(
    tmp_path_factory: pytest.TempPathFactory, architecture: Architecture, rows: int, seed: int
) -> None:
    folder = tmp_path_factory.mktemp("model")
    scorer = exported(folder, architecture, seed)
    onnx.checker.check_model(folder / "model.onnx", full_check=True)
    encoded = random_rows(architecture, rows, np.random.default_rng(seed))
    (probability_B1,) = session(folder / "model.onnx").run(None, loader(*encoded))
    assert (probability_B1.dtype, probability_B1.shape) == (np.float32, (rows, 1))
    wanted_B = scorer.score(*encoded)
    np.testing.assert_allclose(probability_B1[:, 0], wanted_B, rtol=0, atol=1e-6)


LISTS = Architecture(
    categorical=("shop", "tags", "city"),
    cardinalities=(5, 7, 9),
    continuous=("price",),
    embedding_dim=4,
    bottom_mlp=(4,),
    top_mlp=(8,),
    bags=("tags",),
)


@pytest.mark.parametrize("bag", POOLING_NUMBERS)
def test_the_length_of_the_padding_changes_nothing(tmp_path: Path, bag: Pooling) -> None:
    positions = 3 if bag == "position_weighted" else None
    architecture = replace(LISTS, bag=bag, bag_positions=positions)
    exported(tmp_path, architecture)
    run = session(tmp_path / "model.onnx").run
    tensors = loader(*random_rows(architecture, 50, np.random.default_rng(1)))
    (short_B1,) = run(None, tensors)
    width = ((0, 0), (0, 0), (0, 9))
    tensors["padded_ids"] = np.pad(tensors["padded_ids"], width, constant_values=PADDING)
    (long_B1,) = run(None, tensors)
    np.testing.assert_array_equal(short_B1, long_B1)


@pytest.mark.parametrize(
    ("tensor", "index", "bad"),
    [
        ("ids", (3, 0), 5),
        ("ids", (3, 1), -1),
        ("ids", (3, 1), 2**62),
        ("ids", (3, 0), -(2**63)),
        ("padded_ids", (3, 0, 0), 7),
        ("padded_ids", (3, 0, 3), -2),
        ("padded_ids", (3, 0, 1), 2**63 - 1),
    ],
)
def test_an_unknown_id_gives_nan_in_its_row_alone(
    tmp_path: Path, tensor: str, index: tuple[int, ...], bad: int
) -> None:
    exported(tmp_path, LISTS)
    run = session(tmp_path / "model.onnx").run
    tensors = loader(*random_rows(LISTS, 6, np.random.default_rng(2)))
    (wanted_B1,) = run(None, tensors)
    tensors[tensor][index] = bad
    (actual_B1,) = run(None, tensors)
    assert np.isnan(actual_B1[3, 0])
    np.testing.assert_array_equal(np.delete(actual_B1, 3), np.delete(wanted_B1, 3))


def test_weights_that_are_not_finite_do_not_reach_through_the_padding(tmp_path: Path) -> None:
    model = DLRM(LISTS, seed=1)
    with torch.no_grad():
        model.tables.table(1)[0] = torch.inf
    save_model(tmp_path / "model", model, "p" * 64)
    write_onnx(tmp_path / "model", tmp_path / "model.onnx")
    tensors = loader(*random_rows(LISTS, 5, np.random.default_rng(2)))
    tensors["padded_ids"][:] = PADDING
    (probability_B1,) = session(tmp_path / "model.onnx").run(None, tensors)
    assert np.isfinite(probability_B1).all()


def test_the_same_model_gives_the_same_bytes_and_keeps_its_weights_apart(tmp_path: Path) -> None:
    exported(tmp_path, LISTS)
    file = tmp_path / "model.onnx"
    first = file.read_bytes()
    write_onnx(tmp_path / "model", file)
    assert file.read_bytes() == first
    model = onnx.load(file, load_external_data=False)
    assert {entry.key: entry.value for entry in model.metadata_props}["plan_hash"] == "p" * 64
    outside = [t for t in model.graph.initializer if t.data_location == onnx.TensorProto.EXTERNAL]
    assert {tensor.name for tensor in outside} == DLRM(LISTS, seed=1).state_dict().keys()
    assert all(t.external_data[0].value == "model/model.safetensors" for t in outside)


def test_a_table_of_more_than_two_to_the_31_numbers(tmp_path: Path) -> None:
    """A sparse file of 9 GB of zeros, with a few rows at the start and the end."""
    rows, dim = 70_000_000, 32
    large = replace(LISTS, categorical=("shop", "tags"), cardinalities=(rows, 7))
    large = replace(large, bottom_mlp=(dim,), embedding_dim=dim)
    small = replace(large, cardinalities=(2, 7))
    scorer = exported(tmp_path / "small", small)
    write_grown(tmp_path / "small" / "model", tmp_path / "large" / "model", large)
    write_onnx(tmp_path / "large" / "model", tmp_path / "large" / "model.onnx")
    ids_BF, dense_BC, bags = random_rows(small, 40, np.random.default_rng(3))
    wanted_B = scorer.score(ids_BF, dense_BC, bags)
    tensors = loader(ids_BF * (rows - 1), dense_BC, bags)
    (actual_B1,) = session(tmp_path / "large" / "model.onnx").run(None, tensors)
    np.testing.assert_allclose(actual_B1[:, 0], wanted_B, rtol=0, atol=1e-6)


def write_grown(source: Path, target: Path, architecture: Architecture) -> None:
    """The model of `source`, whose first table has two rows, with zeros between the two."""
    target.mkdir(parents=True)
    tensors = load_file(source / "model.safetensors")
    tables = tensors.pop("tables.weight")
    shape = [sum(architecture.cardinalities), architecture.embedding_dim]
    end = shape[0] * shape[1] * 4
    header = {"tables.weight": {"dtype": "F32", "shape": shape, "data_offsets": [0, end]}}
    for name, tensor in tensors.items():
        begin, end = end, end + tensor.nbytes
        entry = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [begin, end]}
        header[name] = entry
    text = json.dumps(header).encode()
    with (target / "model.safetensors").open("wb") as stream:
        stream.write(len(text).to_bytes(8, "little") + text)
        start = stream.tell()
        stream.write(tables[:1].numpy().tobytes())
        stream.seek(start + (shape[0] - len(tables) + 1) * shape[1] * 4)
        stream.write(tables[1:].numpy().tobytes())
        for tensor in tensors.values():
            stream.write(tensor.numpy().tobytes())
    write_model_card(target, architecture, "p" * 64, "0" * 64)


def test_what_cannot_be_pointed_to_is_refused(tmp_path: Path) -> None:
    exported(tmp_path, LISTS)
    with pytest.raises(ModelError, match=r"other/model\.onnx: wanted the model in a folder of"):
        write_onnx(tmp_path / "model", tmp_path / "other" / "model.onnx")
    (tmp_path / "model" / "model.safetensors").write_bytes(b"\x08" + bytes(7) + b"no JSON!")
    with pytest.raises(ModelError, match=r"model\.safetensors: .*no safetensors file"):
        write_onnx(tmp_path / "model", tmp_path / "model.onnx")
    save_file({"tables.weight": torch.zeros(21, 5)}, tmp_path / "model" / "model.safetensors")
    with pytest.raises(ModelError, match=r"tables\.weight: wanted F32 of shape \(21, 4\), found"):
        write_onnx(tmp_path / "model", tmp_path / "model.onnx")
    (tmp_path / "model" / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=r"model\.safetensors: missing"):
        write_onnx(tmp_path / "model", tmp_path / "model.onnx")
