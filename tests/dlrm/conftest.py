"""A small encoded data set whose clicks depend on its columns, and the plan it belongs to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from dlrm.architecture import Architecture
from features.plan import OutputColumn, Plan
from features.settings import Model
from features.steps import Categorify, FillMissing


@dataclass(frozen=True)
class World:
    """A plan whose sorted column order is not its own, and encoded files on disk."""

    plan: Plan
    architecture: Architecture
    train_files: list[Path]
    valid_files: list[Path]


def make_plan(categorical: dict[str, int], continuous: tuple[str, ...]) -> Plan:
    """A plan of these columns, without files."""
    ids = [
        OutputColumn(name, name, (Categorify(0, cardinality, f"vocabulary/{name}.parquet", ""),))
        for name, cardinality in categorical.items()
    ]
    floats = [OutputColumn(name, name, (FillMissing(0.0),)) for name in continuous]
    return Plan(Path("plan"), (), (*floats, *ids), "0" * 64)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small tensors on a busy machine: threads that wait for each other take most of the time."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def plan_of() -> Callable[[dict[str, int], tuple[str, ...]], Plan]:
    return make_plan


# "C10" < "C2", "I10" < "I2"; "C1" and "apple" sort before "continuous", "zebra" after it.
CATEGORICAL = {"zebra": 23, "C2": 9, "C10": 11, "C1": 5, "apple": 7}
CONTINUOUS = ("I1", "I2", "I10")


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("encoded")
    plan = make_plan(CATEGORICAL, CONTINUOUS)
    settings = Model(embedding_dim=4, bottom_mlp=(8, 4), top_mlp=(16, 8))
    generator = np.random.default_rng(5)
    effects = {name: generator.normal(0, 1.2, size) for name, size in CATEGORICAL.items()}

    def write(name: str, rows: int, first: int) -> Path:
        ids = {name: generator.integers(0, size, rows) for name, size in CATEGORICAL.items()}
        floats = {name: generator.normal(size=rows).astype(np.float32) for name in CONTINUOUS}
        floats["I10"] = np.arange(first, first + rows, dtype=np.float32) / 4096  # names the row
        logit = sum(effects[name][ids[name]] for name in CATEGORICAL) + floats["I1"] - 1
        click = generator.random(rows) < 1 / (1 + np.exp(-logit))
        file = folder / name
        pq.write_table(pa.table({**floats, **ids, "click": click.astype(np.int8)}), file)
        return file

    sizes = [301, 250, 1, 0, 333, 270]
    firsts = np.cumsum([0, *sizes])
    train = [write(f"part-{i}.parquet", rows, int(firsts[i])) for i, rows in enumerate(sizes)]
    valid = [write(f"valid-{i}.parquet", 300, 0) for i in range(2)]
    return World(plan, Architecture.of(plan, settings), train, valid)
