"""Merlin's model and the canonical model are equal."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from plumbline.base.errors import ConfigError
from plumbline.dlrm.errors import ModelError
from plumbline.dlrm.model.architecture import Architecture
from plumbline.dlrm.model.dlrm import DLRM
from plumbline.dlrm.ops.embedding.contract import BagIds
from plumbline.dlrm.train.averaging import AveragedTrainer
from plumbline.dlrm.train.merlin_model import (
    MerlinDLRM,
    build_merlin,
    load_canonical,
    mm,
    to_canonical,
)
from plumbline.dlrm.train.merlin_trainer import MerlinTrainer
from plumbline.nvtabular.merlin_data import merlin_schema
from plumbline.settings import Model, Training
from tests.dlrm.embedding_reference import embedding_reference

SETTINGS = Model(embedding_dim=4, bottom_mlp=(8, 4), top_mlp=(16, 8))
PLANS = {
    "both": ({"zebra": 23, "C2": 9, "C10": 11, "C1": 5, "apple": 7}, ("I2", "I1", "I10")),
    "one of each": ({"zebra": 23}, ("I1",)),
    "no continuous": ({"zebra": 23, "C2": 9, "C10": 11}, ()),
    "no categorical": ({}, ("I2", "I1", "I10")),
    "lists": ({"zebra": 23, "tags": 9, "C10": 11, "apple": 7}, ("I2", "I1"), ("tags", "apple")),
    "only lists": ({"tags": 9, "apple": 7}, (), ("tags", "apple")),
}


@pytest.fixture(params=PLANS.values(), ids=PLANS.keys())
def plan(request, plan_of):
    return plan_of(*request.param)


def rows(
    architecture: Architecture, count: int = 64
) -> tuple[torch.Tensor, torch.Tensor, list[BagIds]]:
    generator = torch.Generator().manual_seed(0)
    sizes = dict(zip(architecture.categorical, architecture.cardinalities, strict=True))
    ids = [torch.randint(sizes[n], (count, 1), generator=generator) for n in architecture.single]
    ids_BF = torch.cat([torch.empty(count, 0, dtype=torch.int64), *ids], dim=1)
    bags = []
    for name in architecture.bags:
        lengths_B = torch.randint(4, (count,), generator=generator)
        offsets_B1 = torch.cat([torch.zeros(1, dtype=torch.int64), lengths_B.cumsum(0)])
        ids_N = torch.randint(sizes[name], (int(offsets_B1[-1]),), generator=generator)
        bags.append((ids_N, offsets_B1))
    return ids_BF, torch.randn(count, len(architecture.continuous), generator=generator), bags


@pytest.mark.parametrize("bag", ["mean", "sum", "max"])
@pytest.mark.parametrize("top", [(16, 8), ()], ids=str)
def test_same_weights_give_the_same_logits_and_gradients(plan, top, bag):
    settings = SETTINGS.model_copy(update={"top_mlp": top, "bag": bag})
    architecture = Architecture.of(plan, settings)
    merlin = build_merlin(architecture, merlin_schema(plan), seed=3)
    canonical = DLRM(architecture, seed=3)
    inputs = rows(architecture)
    ids_BF, dense_BC, bags = inputs
    table_RD = canonical.tables.weight.detach().clone().requires_grad_()
    columns = canonical.tables.columns(ids_BF, bags)
    ours = canonical.logits(embedding_reference(table_RD, columns, torch.float32), dense_BC)
    theirs = merlin(*inputs)
    assert ours.std() > 0
    assert (ours - theirs).abs().max() <= 1e-6
    assert (canonical(*inputs) - theirs).abs().max() <= 1e-6
    weight_B = torch.linspace(-1, 1, len(ours))
    (ours * weight_B).sum().backward()
    (theirs * weight_B).sum().backward()
    wanted = {n: p.grad for n, p in canonical.named_parameters() if p.requires_grad}
    got = {name: p.grad for name, p in merlin.dense_parameters().items()}
    if architecture.continuous:
        order = [sorted(architecture.continuous).index(name) for name in architecture.continuous]
        got["bottom.0.weight"] = got["bottom.0.weight"][:, order]
    if architecture.categorical:
        wanted["tables"] = table_RD.grad
        tables = merlin.table_parameters().values()
        got["tables"] = torch.cat([table.grad.to_dense() for table in tables])
    assert got.keys() == wanted.keys()
    for name, gradient in wanted.items():
        assert torch.allclose(got[name], gradient, rtol=1e-5, atol=3e-6), name


def test_canonical_weights_there_and_back(plan):
    architecture = Architecture.of(plan, SETTINGS)
    merlin = build_merlin(architecture, merlin_schema(plan), seed=3)
    other = DLRM(architecture, seed=4).state_dict()
    load_canonical(merlin, other)
    back = to_canonical(merlin)
    assert back.keys() == other.keys()
    assert all(torch.equal(back[name], weight) for name, weight in other.items())


def check_all_parameters_are_named(merlin: MerlinDLRM) -> None:
    named = [*merlin.table_parameters().values(), *merlin.dense_parameters().values()]
    assert {id(p) for p in named} == {id(p) for p in merlin.parameters()}


def test_it_is_merlins_model_with_sparse_embeddings(world):
    merlin = build_merlin(world.architecture, merlin_schema(world.plan), seed=3)
    assert isinstance(merlin.model, mm.DLRMModel)
    merlin(*rows(world.architecture)).sum().backward()
    assert all(table.weight.grad.is_sparse for table in merlin.tables())
    assert tuple(merlin.table_parameters()) == world.architecture.categorical
    check_all_parameters_are_named(merlin)


def test_lists_have_sparse_gradients_too(list_world):
    merlin = build_merlin(list_world.architecture, merlin_schema(list_world.plan), seed=3)
    assert isinstance(merlin.model, mm.DLRMModel)
    merlin(*rows(list_world.architecture)).sum().backward()
    assert all(table.weight.grad.is_sparse for table in merlin.tables())
    check_all_parameters_are_named(merlin)


def test_building_leaves_the_random_state_alone(world):
    before = torch.random.get_rng_state()
    build_merlin(world.architecture, merlin_schema(world.plan), seed=3)
    assert torch.equal(before, torch.random.get_rng_state())


def test_schema_of_another_plan_is_refused(world, plan_of):
    other = merlin_schema(plan_of({"zebra": 23, "C2": 9}, ("I1", "I2", "I10")))
    with pytest.raises(ModelError, match=r"Merlin schema: wanted a table .*'C10': 11"):
        build_merlin(world.architecture, other, seed=3)
    lacking = merlin_schema(plan_of(PLANS["both"][0], ("I1",)))
    with pytest.raises(ModelError, match=r"lacks the continuous columns \['I10', 'I2'\]"):
        build_merlin(world.architecture, lacking, seed=3)


def test_weights_of_positions_are_refused(list_world):
    weighted = replace(list_world.architecture, bag="position_weighted", bag_positions=3)
    with pytest.raises(ConfigError, match=r"position_weighted: .*Use --model fused"):
        build_merlin(weighted, merlin_schema(list_world.plan), seed=3)


@pytest.mark.parametrize("name", ["continuous", "user.id", "values", "training", "x__offsets"])
def test_names_that_merlin_does_not_support_are_refused(plan_of, name):
    plan = plan_of({name: 5, "b": 6}, ("x",))
    with pytest.raises(ConfigError, match=f"Column '{name}': Merlin.* Rename it"):
        build_merlin(Architecture.of(plan, SETTINGS), merlin_schema(plan), seed=3)


def test_weights_of_another_architecture_are_refused(world):
    merlin = build_merlin(world.architecture, merlin_schema(world.plan), seed=3)
    state = DLRM(world.architecture, 3).state_dict()
    del state["top.0.bias"]
    with pytest.raises(ModelError, match=r"these are in only one of the two: top\.0\.bias"):
        load_canonical(merlin, state)


@pytest.mark.parametrize("averaged", [False, True])
def test_a_model_on_a_gpu_becomes_a_dlrm_on_that_gpu(plan, averaged):
    """With tensors of torch's that have a device and no memory, and no two devices in one call."""
    architecture = Architecture.of(plan, SETTINGS)
    settings = Training(learning_rate=0.1, embedding_learning_rate=0.1)
    trainer = MerlinTrainer(architecture, settings, 3, "cpu", merlin_schema(plan))
    with FakeTensorMode(allow_non_fake_inputs=True):
        trainer._model._apply(lambda tensor: torch.empty_like(tensor, device="cuda"))
        model = (AveragedTrainer(trainer, 8) if averaged else trainer).canonical()
    everything = [*model.parameters(), *model.buffers()]
    assert {tensor.device.type for tensor in everything} == {"cuda"}
