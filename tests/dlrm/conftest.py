"""Small encoded data sets whose clicks depend on their columns, and their plans."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from plumbline.dlrm.model.architecture import Architecture
from plumbline.features.operators.categorify import Categorify
from plumbline.features.operators.fill_missing import FillMissing
from plumbline.features.plan.plan import OutputColumn, Plan
from plumbline.features.steps.chains import Chain
from plumbline.settings import Model


@dataclass(frozen=True)
class World:
    """A plan whose columns are not in sorted order, and encoded files on disk."""

    plan: Plan
    architecture: Architecture
    train_files: list[Path]
    valid_files: list[Path]


def make_plan(
    categorical: dict[str, int], continuous: tuple[str, ...], lists: tuple[str, ...] = ()
) -> Plan:
    """A plan of these columns, without files; `lists` names the id columns that are lists."""

    def ids(name: str, cardinality: int) -> OutputColumn:
        file = f"vocabulary/{name}.parquet"
        chain = Chain((name,), (Categorify(0, None, 1, cardinality, file, "", ""),))
        return OutputColumn(name, chain, "list<int64>" if name in lists else "int64")

    floats = [
        OutputColumn(name, Chain((name,), (FillMissing(0.0),)), "float32") for name in continuous
    ]
    outputs = (*floats, *(ids(name, size) for name, size in categorical.items()))
    return Plan(Path("plan"), (), outputs, "0" * 64)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """One torch thread: on small tensors, thread synchronization takes most of the time."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def plan_of() -> Callable[..., Plan]:
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


LISTS = {"tags": 13, "apple": 7}


@pytest.fixture(scope="session")
def list_world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Two list columns between two columns with one id; the first lists of every file are empty."""
    folder = tmp_path_factory.mktemp("lists")
    sizes = {"zebra": 23, "tags": 13, "C2": 9, "apple": 7}
    plan = make_plan(sizes, ("I1",), tuple(LISTS))
    settings = Model(embedding_dim=4, bottom_mlp=(8, 4), top_mlp=(16, 8))
    generator = np.random.default_rng(6)
    effects = {name: generator.normal(0, 1.5, size) for name, size in LISTS.items()}

    def lists(name: str, rows: int) -> list[list[int]]:
        lengths = generator.integers(0, 5, rows)
        lengths[:2] = 0
        return [generator.integers(0, LISTS[name], length).tolist() for length in lengths]

    def write(name: str, rows: int, ids: pa.DataType) -> Path:
        columns = {column: lists(column, rows) for column in LISTS}
        effect = np.zeros(rows)
        for column, of_rows in columns.items():
            effect += [effects[column][row].sum() if row else 0.0 for row in of_rows]
        click = generator.random(rows) < 1 / (1 + np.exp(-effect))
        table = {
            "I1": pa.array(np.arange(rows), pa.float32()),
            "zebra": pa.array(generator.integers(0, 23, rows), ids),
            "tags": pa.array(columns["tags"], pa.list_(ids)),
            "C2": pa.array(generator.integers(0, 9, rows), ids),
            "apple": pa.array(columns["apple"], pa.list_(ids)),
            "click": pa.array(click, pa.int8()),
        }
        pq.write_table(pa.table(table), folder / name)
        return folder / name

    train = [write(f"part-{i}.parquet", n, pa.int32()) for i, n in enumerate((301, 250, 1, 0, 63))]
    valid = [write("valid-0.parquet", 300, pa.int64())]
    return World(plan, Architecture.of(plan, settings), train, valid)
