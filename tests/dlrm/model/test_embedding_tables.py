"""The tables of a model, and the operator that looks up their rows."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from types import ModuleType

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from plumbline.base.errors import ConfigError, MachineError
from plumbline.dlrm.errors import ModelError
from plumbline.dlrm.model import embedding_tables
from plumbline.dlrm.model.architecture import Architecture
from plumbline.dlrm.model.embedding_tables import EmbeddingTables
from plumbline.dlrm.ops import library
from plumbline.dlrm.ops.embedding import memory as embedding_memory
from plumbline.dlrm.ops.embedding import operator as embedding_module
from plumbline.dlrm.ops.embedding import position_weights
from plumbline.dlrm.ops.embedding.operator import embedding_kernels
from plumbline.dlrm.ops.embedding.pooling import POOLING_NUMBERS
from plumbline.dlrm.ops.interaction.operator import interaction_kernels
from tests.dlrm.embedding_reference import embedding_reference


def architecture_of(cardinalities, lists=(), dim=4, bag="mean"):
    names = tuple(f"c{number}" for number in range(len(cardinalities)))
    bags = tuple(names[number] for number in lists)
    positions = 2 if bag == "position_weighted" else None
    return Architecture(
        names, tuple(cardinalities), ("x",), dim, (8, dim), (8,), bags, bag, positions
    )


def tables_of(architecture, rows="fp32", seed=1):
    tables = EmbeddingTables(architecture, rows)
    tables.initialize_(torch.Generator().manual_seed(seed))
    with torch.no_grad():
        for number, weights_P in enumerate(tables.position_weights):
            assert (weights_P == 1).all()
            weights_P.copy_(torch.tensor([0.5, -1.5]) + number)
    return tables


@st.composite
def batches(draw, at_least_one_list=False):
    """Tables of any kind, and a batch of ids for them."""
    cardinalities = draw(st.lists(st.integers(1, 9), min_size=1, max_size=4))
    lists = [position for position in range(len(cardinalities)) if draw(st.booleans())]
    if at_least_one_list and not lists:
        lists = [0]
    dim = draw(st.sampled_from([1, 3, 8, 16, 17, 40]))
    architecture = architecture_of(
        cardinalities, lists, dim, draw(st.sampled_from([*POOLING_NUMBERS]))
    )
    rows = draw(st.integers(0, 5))
    generator = np.random.default_rng(draw(st.integers(0, 99)))
    singles = [size for position, size in enumerate(cardinalities) if position not in lists]
    ids_BF = torch.from_numpy(generator.integers(0, singles, (rows, len(singles))))
    bags = []
    for position in lists:
        offsets_B1 = np.cumsum([0, *generator.integers(0, 4, rows)])
        ids_N = generator.integers(0, cardinalities[position], offsets_B1[-1])
        bags.append((torch.from_numpy(ids_N), torch.from_numpy(offsets_B1)))
    return architecture, ids_BF, bags


@given(batches(), st.sampled_from(["fp32", "bf16"]), st.sampled_from(embedding_module.DTYPES))
def test_equals_the_reference(batch, rows, dtype):
    architecture, ids_BF, bags = batch
    tables = tables_of(architecture, rows)
    actual = tables(ids_BF, bags, dtype)
    wanted = embedding_reference(tables.weight, tables.columns(ids_BF, bags), dtype)
    assert actual.shape == (len(ids_BF), len(architecture.categorical), architecture.embedding_dim)
    assert actual.dtype == dtype
    # Sums of at most three numbers below 0.2, in one order, are rounded alike but for one bit.
    bound = 2 * torch.finfo(dtype).eps * 0.4
    assert torch.allclose(actual.double(), wanted.double(), rtol=0, atol=bound)


def test_a_row_has_the_rows_of_its_ids():
    tables = tables_of(architecture_of([3, 5, 2], lists=[1]))
    bags = [(torch.tensor([4, 0, 4]), torch.tensor([0, 3, 3]))]
    out_BVD = tables(torch.tensor([[2, 1], [0, 0]]), bags)
    assert torch.equal(out_BVD[0, 0], tables.table(0)[2])
    assert torch.equal(out_BVD[1, 2], tables.table(2)[0])
    mean = (2 * tables.table(1)[4] + tables.table(1)[0]) / 3
    assert torch.allclose(out_BVD[0, 1], mean)
    assert not out_BVD[1, 1].any()


def test_positions_behind_the_last_weight_share_it():
    tables = tables_of(architecture_of([3, 5], lists=[1], bag="position_weighted"))
    bags = [(torch.tensor([4, 0, 3]), torch.tensor([0, 0, 3]))]
    out_BVD = tables(torch.tensor([[2], [0]]), bags)
    row = tables.table(1)
    assert not out_BVD[0, 1].any()
    assert torch.allclose(out_BVD[1, 1], 0.5 * row[4] - 1.5 * row[0] - 1.5 * row[3])


@settings(max_examples=40)
@given(batches(at_least_one_list=True), st.sampled_from(["fp32", "bf16"]))
def test_the_gradient_of_the_weights_is_autograds(batch, rows):
    architecture, ids_BF, bags = batch
    architecture = replace(architecture, bag="position_weighted", bag_positions=2)
    tables = tables_of(architecture, rows)
    columns = tables.columns(ids_BF, bags)
    weights = [bag.weights_P.double().requires_grad_() for bag in columns.bags]
    in_double = tuple(
        replace(bag, weights_P=w) for bag, w in zip(columns.bags, weights, strict=True)
    )
    out_BVD = embedding_reference(
        tables.weight.double(), replace(columns, bags=in_double), torch.float64
    )
    gradient_BVD = torch.randn(out_BVD.shape, generator=torch.Generator().manual_seed(3))
    (out_BVD * gradient_BVD).sum().add(sum(0 * w.sum() for w in weights)).backward()
    got = tables.position_gradients(ids_BF, bags, gradient_BVD)
    assert len(got) == len(architecture.bags)
    for actual, leaf in zip(got, weights, strict=True):
        assert actual.dtype == torch.float32
        assert torch.allclose(actual.double(), leaf.grad, rtol=1e-5, atol=1e-6)


def test_the_gradient_of_the_weights_has_equal_bits_for_any_number_of_threads(monkeypatch):
    monkeypatch.setattr(position_weights, "AT_A_TIME", 5_000)
    tables = tables_of(architecture_of([2000], lists=[0], dim=24, bag="position_weighted"))
    generator = torch.Generator().manual_seed(1)
    length_B = torch.randint(9, (6000,), generator=generator)
    offsets_B1 = torch.cat([torch.zeros(1, dtype=torch.int64), length_B.cumsum(0)])
    ids_N = torch.randint(2000, (int(offsets_B1[-1]),), generator=generator)
    gradient_BVD = torch.randn(6000, 1, 24, generator=generator)
    got = set()
    for threads in (1, 2, 3, 7):
        torch.set_num_threads(threads)
        inputs = (torch.empty((6000, 0), dtype=torch.int64), [(ids_N, offsets_B1)], gradient_BVD)
        got.add(tuple(tables.position_gradients(*inputs)[0].tolist()))
    assert len(got) == 1


def test_an_id_without_a_row_names_its_column_in_the_gradient_of_the_weights():
    tables = tables_of(architecture_of([3, 5], lists=[1], bag="position_weighted"))
    bags = [(torch.tensor([5]), torch.tensor([0, 1]))]
    with pytest.raises(ModelError, match="'c1'"):
        tables.position_gradients(torch.tensor([[2]]), bags, torch.ones(1, 2, 4))


def test_ids_that_are_not_contiguous():
    tables = tables_of(architecture_of([30, 40]))
    ids_FB = torch.arange(20).view(2, 10)
    assert torch.equal(tables(ids_FB.t()), tables(ids_FB.t().contiguous()))


def test_compiles_as_one_graph():
    tables = tables_of(architecture_of([5, 6, 7], lists=[2]))
    ids_BF = torch.tensor([[1, 2], [3, 4]])
    bags = ((torch.tensor([6, 1]), torch.tensor([0, 0, 2])),)
    compiled = torch.compile(tables, fullgraph=True, backend="aot_eager")
    assert torch.equal(compiled(ids_BF, bags), tables(ids_BF, bags))


@pytest.mark.parametrize("weights", [[], [torch.tensor([1.0, 2.0])]], ids=["mean", "weighted"])
def test_the_operator_keeps_its_promises_to_torch(weights):
    tables = tables_of(architecture_of([5, 6, 7], lists=[2]))
    arguments = (
        tables.weight.detach(),
        torch.tensor([[1, 2], [3, 4]]),
        tables.first_row_F,
        tables.cardinality_F,
        tables.position_F,
        [torch.tensor([6, 1])],
        [torch.tensor([0, 0, 2])],
        [11],
        [7],
        [2],
        weights,
        "position_weighted" if weights else "mean",
        torch.bfloat16,
    )
    torch.library.opcheck(embedding_module.embedding, arguments)


def test_without_a_native_module_the_reference_runs(monkeypatch):
    monkeypatch.setenv("PLUMBLINE_NATIVE", "0")
    assert type(embedding_kernels(torch.device("cpu"))).__name__ == "ReferenceEmbedding"


def test_on_a_gpu_the_reference_never_takes_the_kernels_place(monkeypatch):
    gpu = torch.device("cuda")
    kernels_of = (embedding_kernels, partial(interaction_kernels, dtype=torch.bfloat16))
    monkeypatch.setattr(library, "_cuda_module", lambda: ModuleType("stub"))
    for kernels in kernels_of:
        assert type(kernels(gpu)).__name__ in ("CudaEmbedding", "CudaInteraction")
    monkeypatch.setattr(library, "_cuda_module", lambda: None)
    for kernels in kernels_of:
        with pytest.raises(MachineError, match=r"_kernels_cuda, were not built\. Install nvcc"):
            kernels(gpu)
    monkeypatch.setenv("PLUMBLINE_NATIVE", "0")
    for kernels in kernels_of:
        with pytest.raises(MachineError, match="Unset PLUMBLINE_NATIVE, or use --device cpu"):
            kernels(gpu)


@pytest.mark.parametrize(
    ("ids", "bag_ids", "column", "actual", "last"),
    [(5, 0, "c0", 5, 4), (-1, 0, "c0", -1, 4), (0, 7, "c1", 7, 6)],
)
def test_an_id_without_a_row_is_refused_by_name(ids, bag_ids, column, actual, last):
    tables = tables_of(architecture_of([5, 7], lists=[1]))
    bags = [(torch.tensor([bag_ids]), torch.tensor([0, 1]))]
    message = f"Column '{column}': the model has ids 0 to {last}, got {actual}"
    with pytest.raises(ModelError, match=message):
        tables(torch.tensor([[ids]]), bags)


@pytest.mark.parametrize(
    ("ids_BF", "bags", "message"),
    [
        (torch.zeros(2, 2, dtype=torch.int64), 1, r"ids of shape \(B, 1\), got \(2, 2\)"),
        (torch.zeros(2, dtype=torch.int64), 1, r"ids of shape \(B, 1\), got \(2,\)"),
        (torch.zeros(2, 1, dtype=torch.int32), 1, "int64 on cpu like the rows, got int32"),
        (torch.zeros(2, 1, dtype=torch.int64, device="meta"), 1, "got int64 on meta"),
        (torch.zeros(2, 1, dtype=torch.int64), 0, "wanted 1 bags, got 0"),
        (torch.zeros(3, 1, dtype=torch.int64), 1, r"4 offsets, got shapes \(1,\) and \(3,\)"),
    ],
)
def test_inputs_of_another_shape_or_dtype_are_refused(ids_BF, bags, message):
    tables = tables_of(architecture_of([5, 7], lists=[1]))
    bag = (torch.tensor([1]), torch.tensor([0, 1, 1]))
    with pytest.raises(ValueError, match=message):
        tables(ids_BF, [bag] * bags)


def test_offsets_on_another_device_than_the_rows_are_refused():
    tables = tables_of(architecture_of((3, 2)))
    tables.weight = torch.nn.Parameter(tables.weight.to("meta"), requires_grad=False)
    ids_BF = torch.zeros(2, 2, dtype=torch.int64, device="meta")
    with pytest.raises(ValueError, match=r"wanted the tables' offsets on meta .* got cpu: call"):
        tables(ids_BF)
    tables.move_offsets()
    assert tables(ids_BF).shape == (2, 2, 4)


def test_a_result_of_another_dtype_is_refused():
    tables = tables_of(architecture_of([5]))
    with pytest.raises(ValueError, match="got float32 and float64"):
        tables(torch.zeros(1, 1, dtype=torch.int64), dtype=torch.float64)


def test_initial_rows_are_those_of_separate_tables():
    cardinalities = (7, 300, 2, 1)
    tables = tables_of(architecture_of(cardinalities, dim=5), seed=9)
    generator = torch.Generator().manual_seed(9)
    for position, rows in enumerate(cardinalities):
        alone = torch.empty(rows, 5).normal_(0.0, 0.01, generator=generator)
        assert torch.equal(tables.table(position), alone)


@pytest.mark.parametrize("rows", [63, 64, 65, 127, 128, 129, 191, 199])
def test_narrow_rows_are_drawn_in_parts_and_are_the_same_numbers(monkeypatch, rows):
    monkeypatch.setattr(embedding_tables, "FILL", 64)
    architecture = architecture_of([rows, 3], dim=1)
    wide, narrow = tables_of(architecture), tables_of(architecture, "bf16")
    assert narrow.weight.dtype == torch.bfloat16
    assert torch.equal(narrow.weight, wide.weight.bfloat16())


def test_uninitialised_tables_take_no_memory_and_keep_their_offsets():
    with torch.device("meta"):
        tables = EmbeddingTables(architecture_of([10**12, 5]))
    assert tables.weight.is_meta
    assert not tables.weight.requires_grad
    assert tables.first_row.tolist() == [0, 10**12]
    assert list(tables.state_dict()) == ["weight"]


def test_initialising_checks_the_memory_first(monkeypatch):
    monkeypatch.setattr(embedding_memory, "available_memory", lambda: 1000)
    with pytest.raises(ConfigError, match="Embedding tables"):
        tables_of(architecture_of([100], dim=16))
