"""Embedding tables that TorchRec shards over the processes, as its planner decides.

Tables and features are named by their position in the plan, and everything is looked up by these
names: TorchRec orders its outputs by shard.

Legend: R rows of all tables, D embedding length.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Literal

import torch
from fbgemm_gpu.split_embedding_configs import EmbOptimType
from torch import nn
from torchrec.distributed.embeddingbag import EmbeddingBagCollectionSharder
from torchrec.distributed.model_parallel import DistributedModelParallel
from torchrec.distributed.planner import EmbeddingShardingPlanner, Topology
from torchrec.distributed.planner.types import ParameterConstraints, PlannerError
from torchrec.distributed.types import ShardingPlan
from torchrec.modules.embedding_configs import EmbeddingBagConfig
from torchrec.modules.embedding_modules import EmbeddingBagCollection

from plumbline.base.errors import ConfigError
from plumbline.dlrm.model.architecture import Architecture
from plumbline.dlrm.processes.group import Group
from plumbline.dlrm.processes.place import Place
from plumbline.dlrm.processes.requirements import WIDTH
from plumbline.dlrm.processes.shared_file import Part, Parted
from plumbline.dlrm.train.training_plan import PlannedTraining

EPS = 1e-8
"""As in `plumbline.dlrm.train.embedding_optimizer`."""

Kind = Literal["table_wise", "row_wise", "column_wise"]
"""Whole tables, ranges of their rows, or ranges of their columns."""

_POSITION = re.compile(r"(?:^|\.)t(\d+)\.")


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes that the planner may use of each process' device."""

    host: int
    gpu: int


def kinds(training: PlannedTraining) -> tuple[Kind, ...]:
    """The kinds of sharding that the planner may choose.

    Row-wise Adagrad has one accumulator for a row. Of a table that is sharded by columns, each
    process would have its own, of its columns alone: another optimizer.
    """
    if training.embedding_optimizer == "rowwise_adagrad":
        return ("table_wise", "row_wise")
    return ("table_wise", "row_wise", "column_wise")


def names_of(architecture: Architecture) -> list[str]:
    """The names of tables and features, in plan order."""
    return [f"t{position}" for position in range(len(architecture.categorical))]


def unsharded(architecture: Architecture) -> EmbeddingBagCollection:
    """The tables without memory. Every feature's bags are sums."""
    return EmbeddingBagCollection(
        device=torch.device("meta"),
        tables=[
            EmbeddingBagConfig(
                name=name,
                embedding_dim=architecture.embedding_dim,
                num_embeddings=rows,
                feature_names=[name],
            )
            for name, rows in zip(names_of(architecture), architecture.cardinalities, strict=True)
        ],
    )


class _Sharder(EmbeddingBagCollectionSharder):
    """Offers these kinds only, on a CPU too, where TorchRec's own has no row-wise one; and the
    kernel that updates rows in the backward pass."""

    def __init__(self, allowed: Sequence[Kind], fused_params: dict[str, Any]) -> None:
        super().__init__(fused_params)
        self._allowed = allowed

    def sharding_types(self, compute_device_type: str) -> list[str]:
        return list(self._allowed)

    def compute_kernels(self, sharding_type: str, compute_device_type: str) -> list[str]:
        return ["fused"]


@dataclass(frozen=True, slots=True)
class Sharding:
    """TorchRec's plan, and what carries it out."""

    plan: ShardingPlan
    sharder: _Sharder

    def __str__(self) -> str:
        """How many tables are sharded in which way: `24 table-wise, 2 row-wise`."""
        tables = [table for module in self.plan.plan.values() for table in module.values()]
        kinds = sorted(Counter(table.sharding_type for table in tables).items())
        return ", ".join(f"{count} {kind.replace('_', '-')}" for kind, count in kinds)

    def apply(self, model: nn.Module, group: Group) -> DistributedModelParallel:
        """The model with `tables` sharded, and its layers data-parallel."""
        return DistributedModelParallel(
            model, device=group.device, plan=self.plan, sharders=[self.sharder]
        )


def plan_of(
    model: nn.Module,
    architecture: Architecture,
    training: PlannedTraining,
    place: Place,
    device: torch.device,
    memory: Memory,
    allowed: Sequence[Kind],
) -> Sharding:
    """Where each table of the model's `tables` goes; sends no message.

    Raises
    ------
    ConfigError
        There are no tables, or they do not fit into the memory of all processes.
    """
    if not architecture.categorical:
        raise ConfigError(
            f"{place.count} processes: wanted categorical columns, whose tables they share, got "
            "none. Train in one process."
        )
    fused_params = {
        "optimizer": {
            "sgd": EmbOptimType.EXACT_SGD,
            "rowwise_adagrad": EmbOptimType.EXACT_ROWWISE_ADAGRAD,
        }[training.embedding_optimizer],
        "learning_rate": training.embedding_learning_rate,
        "eps": EPS,
    }
    sharder = _Sharder(allowed, fused_params)
    count, dim = place.count, architecture.embedding_dim
    narrowest = -(-dim // (count * WIDTH)) * WIDTH
    planner = EmbeddingShardingPlanner(
        topology=Topology(
            world_size=count,
            local_world_size=place.local_count,
            compute_device=device.type,
            hbm_cap=memory.gpu,
            ddr_cap=memory.host,
        ),
        batch_size=-(-training.batch_size // count),
        constraints={
            name: ParameterConstraints(min_partition=narrowest) for name in names_of(architecture)
        },
    )
    try:
        plan = planner.plan(model, [sharder])
    except PlannerError as error:
        bytes_ = sum(architecture.cardinalities) * (dim + 1) * 4
        raise ConfigError(
            f"{count} processes: wanted memory for {bytes_ / 1e9:.2f} GB of embedding rows and "
            f"optimizer state, but TorchRec's planner finds no place for them ({_first(error)}). "
            "Start more processes on more machines, lower model.embedding_dim, or raise "
            "frequency_threshold of the largest columns."
        ) from None
    return Sharding(plan, sharder)


def _first(error: PlannerError) -> str:
    return str(error).strip().splitlines()[0].rstrip(".:")


def row_parts(architecture: Architecture, state: Mapping[str, Any]) -> Parted:
    """The rows that this process holds of all tables together, float32 (R, D).

    `state` is the state dict of the sharded tables.
    """
    shape = (sum(architecture.cardinalities), architecture.embedding_dim)
    return Parted(shape, tuple(_parts(architecture, state)))


def accumulator_parts(architecture: Architecture, state: Mapping[str, Any]) -> Parted:
    """The accumulators of row-wise Adagrad that this process holds, float32 (R,).

    `state` is the state dict of the sharded tables' optimizer.
    """
    accumulators = {
        name: tensor for of_table in state["state"].values() for name, tensor in of_table.items()
    }
    return Parted((sum(architecture.cardinalities),), tuple(_parts(architecture, accumulators)))


def _parts(architecture: Architecture, state: Mapping[str, Any]) -> list[Part]:
    first_row = list(accumulate((0, *architecture.cardinalities)))
    parts = []
    for name, tensor in state.items():
        found = _POSITION.search(name)
        if found is None:
            raise ValueError(f"sharding: wanted the name of a table, got {name}")
        begin = first_row[int(found[1])]
        for shard in tensor.local_shards():
            row, *column = shard.metadata.shard_offsets
            parts.append(Part((begin + row, *column), shard.tensor))
    return parts
