"""DLRM against the formula written out, and its initial weights."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from plumbline.dlrm.model.architecture import Architecture
from plumbline.dlrm.model.dlrm import DLRM
from plumbline.dlrm.ops.embedding.contract import BagIds

BOTH = Architecture(("a", "b"), (5, 6), ("x", "y", "z"), 2, (3, 2), (4,))
IDS_ONLY = Architecture(("a", "b", "c"), (5, 6, 7), (), 2, (), (4,))
DENSE_ONLY = Architecture((), (), ("x", "y"), 2, (3, 2), (4,))
LISTS = Architecture(("a", "g", "b", "h"), (5, 6, 7, 8), ("x",), 2, (3, 2), (4,), bags=("g", "h"))
ONLY_LISTS = Architecture(("g", "h"), (6, 8), (), 2, (), (4,), bags=("g", "h"), bag="sum")
NO_TOP = Architecture(("a", "b"), (5, 6), ("x",), 2, (2,), ())


def rows(architecture: Architecture, count: int) -> tuple[torch.Tensor, torch.Tensor, list[BagIds]]:
    generator = torch.Generator().manual_seed(0)
    sizes = dict(zip(architecture.categorical, architecture.cardinalities, strict=True))
    ids = [torch.randint(sizes[n], (count, 1), generator=generator) for n in architecture.single]
    ids_BF = torch.cat([torch.empty(count, 0, dtype=torch.int64), *ids], dim=1)
    bags = []
    for name in architecture.bags:
        lengths_B = torch.randint(4, (count,), generator=generator)
        offsets_B1 = torch.cat([torch.zeros(1, dtype=torch.int64), lengths_B.cumsum(0)])
        bags.append(
            (torch.randint(sizes[name], (int(offsets_B1[-1]),), generator=generator), offsets_B1)
        )
    return ids_BF, torch.randn(count, len(architecture.continuous), generator=generator), bags


def layer(module: torch.nn.Module, x: torch.Tensor) -> torch.Tensor:
    return torch.relu(module.weight @ x + module.bias)


def test_equals_the_formula():
    model = DLRM(BOTH, seed=1)
    ids_BF, dense_BC, _ = rows(BOTH, 4)
    for i in range(4):
        d = layer(model.bottom[1], layer(model.bottom[0], dense_BC[i]))
        e0, e1 = model.tables.table(0)[ids_BF[i, 0]], model.tables.table(1)[ids_BF[i, 1]]
        row = torch.cat([d, torch.stack([e0 @ d, e1 @ d, e1 @ e0]), torch.zeros(3)])
        wanted = model.last(layer(model.top[0], row))
        assert torch.allclose(model(ids_BF, dense_BC)[i], wanted[0], atol=1e-6)


@pytest.mark.parametrize("bag", ["mean", "sum", "max"])
def test_a_list_gives_its_pooled_embeddings_in_plan_order(bag):
    model = DLRM(replace(LISTS, bag=bag), seed=1)
    combine = {"mean": torch.mean, "sum": torch.sum, "max": torch.amax}[bag]
    ids_BF, dense_BC, bags = rows(LISTS, 6)
    assert 0 in bags[0][1].diff()

    def of(position, table, i):
        ids_N, offsets = bags[position]
        row = model.tables.table(table)[ids_N[offsets[i] : offsets[i + 1]]]
        return combine(row, dim=0) if len(row) else torch.zeros(2)

    for i in range(6):
        d = layer(model.bottom[1], layer(model.bottom[0], dense_BC[i]))
        vectors = [
            d,
            model.tables.table(0)[ids_BF[i, 0]],
            of(0, 1, i),
            model.tables.table(2)[ids_BF[i, 1]],
            of(1, 3, i),
        ]
        dots = torch.stack([vectors[j] @ vectors[k] for j in range(5) for k in range(j)])
        wanted = model.last(layer(model.top[0], torch.cat([d, dots, torch.zeros(4)])))
        assert torch.allclose(model(ids_BF, dense_BC, bags)[i], wanted[0], atol=1e-6)


def test_lists_that_are_all_empty():
    ids_BF, dense_BC, _ = rows(LISTS, 3)
    none = torch.zeros(4, dtype=torch.int64)
    logit_B = DLRM(LISTS, seed=1)(ids_BF, dense_BC, [(none[:0], none)] * 2)
    assert torch.isfinite(logit_B).all()


@pytest.mark.parametrize("architecture", [BOTH, IDS_ONLY, DENSE_ONLY, NO_TOP, LISTS, ONLY_LISTS])
@pytest.mark.parametrize("count", [0, 1, 3])
def test_one_logit_a_row_and_gradients_everywhere(architecture, count):
    model = DLRM(architecture, seed=1)
    ids_BF, dense_BC, bags = rows(architecture, count)
    vector_BVD = model.tables(ids_BF, bags).requires_grad_()
    logit_B = model.logits(vector_BVD, dense_BC)
    assert logit_B.shape == (count,)
    assert torch.equal(logit_B, model(ids_BF, dense_BC, bags))
    logit_B.sum().backward()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    assert len(trained) == len(list(model.parameters())) - 1
    assert all(parameter.grad is not None for parameter in trained)
    assert (vector_BVD.grad is not None) == bool(architecture.categorical)


def test_seed_decides_the_weights_and_nothing_else_does():
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    one, two, other = DLRM(BOTH, 7), DLRM(BOTH, 7), DLRM(BOTH, 8)
    assert torch.equal(before, torch.random.get_rng_state())
    for name, weight in one.state_dict().items():
        assert torch.equal(weight, two.state_dict()[name])
        assert not torch.equal(weight, other.state_dict()[name])


def test_initial_weights_have_the_documented_spread():
    model = DLRM(Architecture(("a", "b"), (400, 900), ("x",), 64, (256, 64), (512,)), seed=1)
    table = model.tables.table(1)
    assert table.std().item() == pytest.approx(0.01, rel=0.02)
    layer = model.bottom[1]
    assert layer.weight.abs().max().item() == pytest.approx(1 / math.sqrt(256), rel=0.01)
    assert layer.weight.std().item() == pytest.approx(1 / math.sqrt(3 * 256), rel=0.03)
    assert layer.bias.abs().max().item() <= 1 / math.sqrt(256)


def test_the_first_rows_have_the_deviation_that_is_asked_for():
    narrow, wide = DLRM(BOTH, seed=1), DLRM(BOTH, seed=1, embedding_deviation=0.1)
    assert torch.allclose(wide.tables.weight, 10 * narrow.tables.weight, rtol=1e-5)
    assert torch.equal(wide.last.weight, narrow.last.weight)


def test_a_model_of_weights_is_whole_on_their_device():
    state = {name: tensor.to("meta") for name, tensor in DLRM(BOTH, seed=1).state_dict().items()}
    model = DLRM.of_weights(BOTH, state)
    everything = [*model.parameters(), *model.buffers()]
    assert {tensor.device.type for tensor in everything} == {"meta"}
    state = DLRM(BOTH, seed=1).state_dict()
    model = DLRM.of_weights(BOTH, state)
    assert model.tables.weight.data_ptr() == state["tables.weight"].data_ptr()


def test_without_a_seed_it_takes_no_memory():
    model = DLRM(BOTH, seed=None)
    assert {parameter.device.type for parameter in model.parameters()} == {"meta"}


@pytest.mark.parametrize("architecture", [BOTH, LISTS])
def test_compiles_as_one_graph(architecture):
    model = DLRM(architecture, seed=1).eval()
    inputs = rows(architecture, 3)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    with torch.no_grad():
        assert torch.equal(compiled(*inputs), model(*inputs))
