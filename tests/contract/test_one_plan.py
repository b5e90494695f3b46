"""The same rows give the same plan, to the bit: whatever the engine, files, chunks and threads."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from plumbline.columns.kinds import FeatureKind
from plumbline.columns.typed import TypedParquet, typed_schema
from plumbline.features.engine import native_engine, part_files
from plumbline.features.engine.native_engine import NativeEngine
from plumbline.features.fitting import fit
from plumbline.features.plan.plan import read_plan
from plumbline.nvtabular.compile import compile_unfitted
from plumbline.nvtabular.engine import NVTabularEngine
from plumbline.nvtabular.library import Workflow, ops
from plumbline.nvtabular.operators.quantile_bucketize import QuantileBucketize
from plumbline.nvtabular.operators.quantile_transform import QuantileTransform
from tests.contract.tables import native_setting, no_progress

KINDS: dict[str, FeatureKind] = {
    "price": "continuous",
    "age": "continuous",
    "user": "string",
    "item": "integer",
    "tags": "string_list",
}
STATISTICS = ["count", "mean", "std", "min"]


def graph() -> Workflow:
    """Every operator that learns, on columns and on each other's outputs."""
    number = ["price"] >> ops.FillMedian()
    normal = number >> ops.LogOp() >> ops.Normalize() >> ops.Rename(postfix="_n")
    scaled = ["age"] >> ops.NormalizeMinMax()
    ranks = ["price"] >> QuantileTransform(30) >> ops.FillMissing() >> ops.Rename(postfix="_q")
    buckets = ["price"] >> QuantileBucketize(20) >> ops.Rename(postfix="_b")
    ids = ["user", "tags"] >> ops.Categorify()
    pairs = [["user", "item"]] >> ops.Categorify(encode_type="combo", num_buckets=3)
    groups = [["user", "item"]] >> ops.JoinGroupby(["price"], STATISTICS)
    spread = groups["user_item_price_std"] >> ops.FillMissing() >> ops.Normalize()
    targets = ["user"] >> ops.TargetEncoding(["price"], kfold=3)
    usual = targets >> ops.Normalize()
    chained = (spread + usual) >> ops.Rename(postfix="_n")
    return Workflow(normal + scaled + ranks + buckets + ids + pairs + groups + targets + chained)


def short_graph() -> Workflow:
    """Two operators: the cost of a file is that of its operators, not of its rows."""
    groups = ["user"] >> ops.JoinGroupby(["price"], ["std"])
    return Workflow((["age"] >> ops.Normalize()) + groups)


def rows(count: int) -> pa.Table:
    """Rows whose sums hang on their order if they are rounded."""
    random = np.random.default_rng(7)
    price = random.lognormal(0, 4, count).astype(np.float32)
    price[random.random(count) < 0.1] = np.nan
    age = np.where(random.random(count) < 0.3, random.choice([0.0, -0.0, 0.1], count), 40.7)
    columns = [
        price,
        age.astype(np.float32),
        [f"u{n}" if n else None for n in random.zipf(1.5, count) % 23],
        random.integers(-5, 30, count),
        [[f"t{n}" for n in random.integers(0, 6, size)] for size in random.integers(0, 4, count)],
        random.integers(0, 2, count),
    ]
    schema = typed_schema(KINDS)
    arrays = [pa.array(c, t, from_pandas=True) for c, t in zip(columns, schema.types, strict=True)]
    return pa.table(arrays, schema=schema)


ROWS = rows(400)


def write(folder: Path, table: pa.Table, cuts: Sequence[int]) -> dict[str, Path]:
    """The table as the training split, cut into files, with row groups of 40 rows."""
    (folder / "train").mkdir(parents=True)
    for number, (start, end) in enumerate(pairwise([0, *cuts, len(table)])):
        file = folder / "train" / f"part-{number:05d}.parquet"
        pq.write_table(table.slice(start, end - start), file, row_group_size=40)
    return {"train": folder / "train"}


Engine = Callable[[Workflow, dict[str, Path], Path], None]


def native(workflow: Workflow, splits: dict[str, Path], out: Path) -> None:
    engine = NativeEngine(compile_unfitted(workflow, KINDS))
    engine.fit_transform(TypedParquet(splits, KINDS), out, no_progress)


def nvtabular(workflow: Workflow, splits: dict[str, Path], out: Path) -> None:
    NVTabularEngine("cpu", None).fit_transform(workflow, KINDS, splits, out, no_progress)


def plan_hash(engine: Engine, workflow: Workflow, cuts: Sequence[int]) -> str:
    with tempfile.TemporaryDirectory() as name:
        engine(workflow, write(Path(name) / "raw", ROWS, cuts), Path(name) / "out")
        return read_plan(Path(name) / "out/plan").content_hash


@pytest.fixture(scope="module")
def expected() -> dict[Any, str]:
    """The hash of each graph's plan, of one file."""
    return {build: plan_hash(native, build(), []) for build in (graph, short_graph)}


@pytest.mark.parametrize(
    ("engine", "files", "threads"),
    [
        *((native, files, threads) for files in (1, 2, 7, 50) for threads in (1, 2)),
        *((nvtabular, files, threads) for files, threads in [(1, 1), (2, 2), (7, 1), (50, 2)]),
    ],
)
def test_files_threads_and_engines(
    engine: Engine,
    files: int,
    threads: int,
    expected: dict[Any, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for module in (fit, native_engine, part_files):
        monkeypatch.setattr(module, "THREADS", threads)
    cuts = np.linspace(0, len(ROWS), files + 1, dtype=int)[1:-1].tolist()
    build = graph if files <= 2 else short_graph
    assert plan_hash(engine, build(), cuts) == expected[build]


@settings(
    max_examples=3,
    deadline=None,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    cuts=st.lists(st.integers(0, len(ROWS)), max_size=6).map(sorted),
    setting=st.sampled_from(["0", "1"]),
)
def test_any_cut(cuts: list[int], setting: str, expected: dict[Any, str]) -> None:
    with native_setting(setting):
        assert plan_hash(native, graph(), cuts) == expected[graph]
