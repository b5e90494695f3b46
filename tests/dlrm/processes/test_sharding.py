"""The planner's choices, and what a process passes to its tables."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from plumbline.base.errors import ConfigError
from plumbline.dlrm.data.loader import Batch, Share
from plumbline.dlrm.errors import ModelError
from plumbline.dlrm.model.architecture import Architecture
from plumbline.dlrm.processes.place import Place

pytest.importorskip("torchrec", reason="TorchRec is not installed: make env DISTRIBUTED=1")

from plumbline.dlrm.processes.sharded_model import ShardedModel, inputs_of
from plumbline.dlrm.processes.sharding import (
    Kind,
    Memory,
    Sharding,
    kinds,
    names_of,
    plan_of,
    unsharded,
)
from plumbline.dlrm.train.training_plan import PlannedTraining, planned
from plumbline.settings import Training

CPU = torch.device("cpu")
LARGE = Architecture(
    categorical=("user", "shop"),
    cardinalities=(2_000_000, 10),
    continuous=("price",),
    embedding_dim=8,
    bottom_mlp=(8,),
    top_mlp=(8,),
)


def training(optimizer: str) -> PlannedTraining:
    return planned(Training.model_validate({"embedding_optimizer": optimizer}), 1000)


def sharding(megabytes: int, optimizer: str, allowed: tuple[Kind, ...] | None = None) -> Sharding:
    settings, place = training(optimizer), Place(0, 4, 0, 4)
    model = ShardedModel(LARGE, unsharded(LARGE))
    memory = Memory(megabytes << 20, 0)
    return plan_of(model, LARGE, settings, place, CPU, memory, allowed or kinds(settings))


def shards_of(chosen: Sharding, table: str) -> list[tuple[list[int], list[int]]]:
    shards = chosen.plan.plan["tables"][table].sharding_spec.shards
    return [(shard.shard_offsets, shard.shard_sizes) for shard in shards]


def test_a_table_that_no_process_can_hold_is_divided() -> None:
    quarter = 500_000
    chosen = sharding(40, "rowwise_adagrad")  # of 64 MB of rows
    assert shards_of(chosen, "t0") == [([i * quarter, 0], [quarter, 8]) for i in range(4)]


def test_columns_are_divided_only_where_the_optimizer_is_the_same() -> None:
    assert kinds(training("rowwise_adagrad")) == ("table_wise", "row_wise")
    assert kinds(training("sgd")) == ("table_wise", "row_wise", "column_wise")
    chosen = sharding(1000, "sgd", ("column_wise",))
    assert str(chosen) == "2 column-wise"
    assert shards_of(chosen, "t0") == [([0, 0], [2_000_000, 4]), ([0, 4], [2_000_000, 4])]


def test_a_model_without_tables_is_refused() -> None:
    alone = replace(LARGE, categorical=(), cardinalities=())
    model = ShardedModel(alone, unsharded(alone))
    settings = training("sgd")
    with pytest.raises(ConfigError, match="2 processes: wanted categorical columns"):
        plan_of(model, alone, settings, Place(0, 2, 0, 2), CPU, Memory(1 << 30, 0), ("row_wise",))


def test_tables_that_all_processes_cannot_hold_are_told() -> None:
    with pytest.raises(ConfigError, match=r"4 processes: wanted memory for 0\.07 GB of embedding"):
        sharding(10, "rowwise_adagrad")


LISTS = Architecture(
    categorical=("a", "tags", "b"),
    cardinalities=(3, 5, 4),
    continuous=("x",),
    embedding_dim=4,
    bottom_mlp=(4,),
    top_mlp=(4,),
    bags=("tags",),
)


def batch() -> Batch:
    return Batch(
        torch.tensor([[1, 3], [2, 0]]),
        torch.tensor([[0.5], [1.5]]),
        torch.tensor([0.0, 1.0]),
        ((torch.tensor([4, 4, 1]), torch.tensor([0, 0, 3])),),
        Share(rows=5, longest=3),
    )


def test_a_share_is_filled_up_with_rows_of_empty_bags() -> None:
    inputs = inputs_of(LISTS, batch(), CPU)
    assert inputs.features.keys() == names_of(LISTS) == ["t0", "t1", "t2"]
    assert inputs.features.lengths().view(3, 3).tolist() == [[1, 1, 0], [0, 3, 0], [1, 1, 0]]
    assert inputs.features.values().tolist() == [1, 2, 4, 4, 1, 3, 0]
    assert inputs.dense_MC.tolist() == [[0.5], [1.5], [0.0]]
    assert inputs.scale_MV1 is not None
    assert inputs.scale_MV1[:, 1, 0].tolist() == pytest.approx([1, 1 / 3, 1])
    sums = inputs_of(replace(LISTS, bag="sum"), batch(), CPU)
    assert sums.scale_MV1 is None


def test_a_wrong_id_names_its_column() -> None:
    with pytest.raises(ModelError, match="'tags': the model has ids 0 to 3, got 4"):
        inputs_of(replace(LISTS, cardinalities=(3, 4, 4)), batch(), CPU)
    with pytest.raises(ModelError, match="'b': the model has ids 0 to 2, got 3"):
        inputs_of(replace(LISTS, cardinalities=(3, 5, 3)), batch(), CPU)
    negative = replace(batch(), ids_BF=torch.tensor([[1, 3], [-1, 0]]))
    with pytest.raises(ModelError, match="'a': the model has ids 0 to 2, got -1"):
        inputs_of(LISTS, negative, CPU)
