"""The NVTabular engine: its files, their order, and refusals."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from plumbline.base.errors import DataError, PlumblineError
from plumbline.columns.typed import TypedParquet, typed_schema
from plumbline.features.engine.encoded import EtlResult
from plumbline.features.engine.native_engine import NativeEngine
from plumbline.features.plan.plan import read_plan
from plumbline.nvtabular.cluster import scheduler
from plumbline.nvtabular.compile import compile_unfitted
from plumbline.nvtabular.engine import NVTabularEngine
from plumbline.nvtabular.errors import UnsupportedOperator
from plumbline.nvtabular.frames import merlin_input_schema
from plumbline.nvtabular.graphs import build
from plumbline.nvtabular.library import ColumnSelector, Tags, Workflow, ops
from plumbline.nvtabular.operators.quantile_bucketize import QuantileBucketize
from plumbline.settings import WorkflowSettings

ROOT = Path(__file__).parents[2]
KINDS: dict[str, Any] = {
    "x": "continuous",
    "i": "integer",
    "h": "hex",
    "s": "string",
    "l": "integer_list",
    "m": "string_list",
}
CATEGORICAL = ["i", "h", "s", "l", "m"]
SETTINGS = WorkflowSettings(graph="criteo", options={"frequency_threshold": 0})


def table(rows: int, seed: int, kinds: Mapping[str, Any] = KINDS) -> pa.Table:
    rng = np.random.default_rng(seed)
    columns = {
        "x": pa.array(rng.normal(size=rows).astype(np.float32), mask=rng.random(rows) < 0.3),
        "i": pa.array(rng.integers(2**53, 2**53 + 9, rows), mask=rng.random(rows) < 0.3),
        "h": pa.array(rng.integers(0, 9, rows), mask=rng.random(rows) < 0.3),
        "s": pa.array([f"é{n}" for n in rng.integers(0, 9, rows)], mask=rng.random(rows) < 0.3),
        "l": pa.array(lists(rng, rows, [2**62, 2**62 + 1, None, 7])),
        "m": pa.array(lists(rng, rows, ["é", "", None, "z"])),
        "click": pa.array(rng.integers(0, 2, rows).astype(np.int8)),
    }
    schema = typed_schema(kinds)
    return pa.table({name: columns[name] for name in schema.names}, schema=schema)


def lists(rng: np.random.Generator, rows: int, values: list[Any]) -> list[Any]:
    lengths = rng.integers(-1, 4, rows)
    picked = [[values[n] for n in rng.integers(0, 4, max(length, 0))] for length in lengths]
    return [None if length < 0 else row for length, row in zip(lengths, picked, strict=True)]


def write(folder: Path, *parts: pa.Table) -> Path:
    folder.mkdir(parents=True)
    for number, part in enumerate(parts):
        pq.write_table(part, folder / f"part-{number:05d}.parquet")
    return folder


@pytest.fixture
def splits(tmp_path: Path) -> dict[str, Path]:
    return {
        "train": write(tmp_path / "raw/train", table(40, 0), table(0, 1), table(30, 2)),
        "valid": write(tmp_path / "raw/valid", table(20, 3)),
        "test": write(tmp_path / "raw/test", table(1, 4), table(25, 5)),
        "probe": write(tmp_path / "raw/probe", table(0, 6)),
    }


def run(splits: Mapping[str, Path], out: Path, **changes: Any) -> EtlResult:
    arguments = {"kinds": KINDS, "progress": lambda rows: None, **changes}
    settings = arguments.pop("settings", SETTINGS)
    graph = build(settings, arguments["kinds"], training_rows=0)
    arguments.setdefault("workflow", graph.workflow)
    engine = NVTabularEngine("cpu", arguments.pop("scheduler", None))
    return engine.fit_transform(splits=splits, out=out, **arguments)


def numbers_and_ids() -> Any:
    return (["x"] >> ops.Normalize()) + (["h", "s"] >> ops.Categorify())


@pytest.mark.parametrize(
    ("graph", "columns"),
    [
        (lambda: numbers_and_ids() - ["h"], ["x", "s"]),
        (lambda: numbers_and_ids() - "x", ["h", "s"]),
        (lambda: numbers_and_ids() - ColumnSelector(tags=[Tags.CONTINUOUS]), ["h", "s"]),
        (lambda: (numbers_and_ids() - ["x", "s"]) >> ops.HashBucket(7), ["h"]),
        (lambda: numbers_and_ids() - (["x"] >> ops.LogOp()), ["h", "s"]),
        (
            lambda: (
                (numbers_and_ids() >> ops.Rename(postfix="_1"))
                - (["x"] >> ops.Rename(postfix="_1"))
            ),
            ["h_1", "s_1"],
        ),
        (lambda: ([["h", "i"]] >> ops.Categorify()) - ["i"], ["h"]),
        (lambda: (["x"] >> ops.LogOp()) + [["h"] >> ops.Categorify(), "click"], ["x", "h"]),
    ],
)
def test_columns_are_combined_as_by_the_native_engine(
    splits: dict[str, Path], tmp_path: Path, graph: Any, columns: list[str]
) -> None:
    same_files(splits, tmp_path, Workflow(graph()), columns)


@pytest.mark.parametrize(
    ("removed", "columns"),
    [
        (["h"], ["s", "x", "TE_s_click"]),
        (["x", "click"], ["h", "s", "TE_h_click", "TE_s_click"]),
    ],
)
def test_removed_inputs_stay_removed(
    splits: dict[str, Path], tmp_path: Path, removed: list[str], columns: list[str]
) -> None:
    """An operator still learns from a removed column: the encoded target from the click."""
    keys = ["h", "s"]
    encoded = keys >> ops.TargetEncoding("click", kfold=1)
    graph = (keys >> ops.Categorify()) + (["x"] >> ops.Normalize()) + encoded + ["click"]
    workflow = Workflow(graph).fit_schema(merlin_input_schema(KINDS)).remove_inputs(removed)
    same_files(splits, tmp_path, workflow, columns)


def same_files(
    splits: dict[str, Path], folder: Path, workflow: Workflow, columns: list[str]
) -> None:
    """Both engines write these columns, with the same values."""
    run(splits, folder / "out", workflow=workflow)
    native = NativeEngine(compile_unfitted(workflow, KINDS))
    native.fit_transform(TypedParquet(splits, KINDS), folder / "native", lambda rows: None)
    for split in splits:
        ours, theirs = (
            pa.concat_tables(
                pq.read_table(file) for file in sorted((folder / side / split).iterdir())
            )
            for side in ("native", "out")
        )
        assert theirs.column_names == ours.column_names == [*columns, "click"]
        for name in columns:
            one, two = np.asarray(ours[name]), np.asarray(theirs[name])
            np.testing.assert_allclose(two, one, rtol=2**-23, atol=1e-9, err_msg=name)


def test_every_split_is_encoded_in_its_row_order(splits: dict[str, Path], tmp_path: Path) -> None:
    encoded: list[int] = []
    result = run(splits, tmp_path / "out", progress=encoded.append)
    assert result.rows == {"train": 70, "valid": 20, "test": 26, "probe": 0}
    assert sorted(encoded[:4]) == [30, 30, 40, 40]  # Categorify and Normalize have read
    assert encoded[4:] == [40, 30, 20, 1, 25]
    plan = read_plan(tmp_path / "out/plan")
    assert plan == result.plan
    assert [column.name for column in plan.outputs] == [*CATEGORICAL, "x"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "plan",
        "probe",
        "test",
        "train",
        "valid",
    ]
    for split, folder in splits.items():
        for file in sorted(folder.iterdir()):
            raw, part = pq.read_table(file), pq.read_table(tmp_path / "out" / split / file.name)
            assert part.schema.names == [*CATEGORICAL, "x", "click"]
            ids_types = [pa.int32()] * 3 + [pa.large_list(pa.int32())] * 2
            assert part.schema.types == [*ids_types, pa.float32(), pa.int8()]
            assert part["click"].equals(raw["click"])
            for name in CATEGORICAL:
                vocabulary = plan.vocabulary(next(c for c in plan.outputs if c.name == name))
                ids = dict(
                    zip(vocabulary.value.to_pylist(), vocabulary.id.to_pylist(), strict=True)
                )
                ids[None] = ids[""] = 1
                assert part[name].to_pylist() == [
                    [ids.get(value, 2) for value in row or []]
                    if name in ("l", "m")
                    else ids.get(row, 2)
                    for row in raw[name].to_pylist()
                ]


def test_a_local_cluster_writes_the_same_files(splits: dict[str, Path], tmp_path: Path) -> None:
    """And it tells the same progress: each of the five operators that learn reads each file."""
    ids = CATEGORICAL >> ops.Categorify(num_buckets=2, max_size=8)
    normal = ["x"] >> ops.FillMedian() >> ops.Normalize()
    statistics = ["s", ["s", "h"]] >> ops.JoinGroupby(["x"], ["count", "std"])
    encoded = ["s"] >> ops.TargetEncoding("click", kfold=3)
    workflow = Workflow(ids + normal + statistics + encoded + "click")
    single, cluster = tmp_path / "single", tmp_path / "cluster"
    told: dict[Path, list[tuple[int, bool]]] = {single: [], cluster: []}

    def run_at(out: Path, scheduler: str | None) -> EtlResult:
        def progress(rows: int) -> None:
            told[out].append((rows, any((out / "train").iterdir())))

        return run(splits, out, workflow=workflow, scheduler=scheduler, progress=progress)

    in_process, on_cluster = run_at(single, None), run_at(cluster, "local")
    for advances in told.values():
        fitting = sorted(rows for rows, is_encoding in advances if not is_encoding)
        assert fitting == [30] * 5 + [40] * 5
        assert sorted(rows for rows, is_encoding in advances if is_encoding) == [1, 20, 25, 30, 40]
    assert on_cluster.plan.content_hash == in_process.plan.content_hash
    files = _files(single)
    assert len(files) == 3 + 1 + 2 + 1 + 1 + 2 * 5 + 2 * 5
    assert files == _files(cluster)
    for file in files:
        assert (single / file).read_bytes() == (cluster / file).read_bytes()


CLUSTER = """
import sys
from distributed import Client, LocalCluster

if __name__ == "__main__":
    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address=None) as cluster:
        if sys.argv[1] == "with frames":
            with Client(cluster) as client:
                client.run(__import__, "dask.dataframe")
        print(cluster.scheduler_address, flush=True)
        sys.stdin.read()
"""
"""A cluster that somebody else started; its workers know nothing of Plumbline."""


@contextmanager
def running_cluster(folder: Path, state: str) -> Iterator[str]:
    """The address of the cluster's scheduler."""
    script = folder / "cluster.py"
    script.write_text(CLUSTER)
    process = subprocess.Popen(
        [sys.executable, str(script), state], stdin=PIPE, stdout=PIPE, text=True, cwd=ROOT
    )
    try:
        yield process.stdout.readline().strip()
    finally:
        process.stdin.close()
        process.wait(60)


@pytest.mark.slow
def test_a_running_cluster_gets_the_settings_of_merlin(
    splits: dict[str, Path], tmp_path: Path
) -> None:
    workflow = Workflow(numbers_and_ids() + "click")
    with running_cluster(tmp_path, "new") as address:
        with scheduler("cpu", address, tmp_path) as runner:
            planner = runner.client.run(
                lambda: sys.modules["dask"].config.get("dataframe.query-planning")
            )
        assert list(planner.values()) == [False]
        on_cluster = run(splits, tmp_path / "cluster", workflow=workflow, scheduler=address)
    in_process = run(splits, tmp_path / "single", workflow=workflow)
    assert on_cluster.plan.content_hash == in_process.plan.content_hash


@pytest.mark.slow
def test_a_cluster_with_other_settings_is_refused(splits: dict[str, Path], tmp_path: Path) -> None:
    with (
        running_cluster(tmp_path, "with frames") as address,
        pytest.raises(
            PlumblineError, match=r"that can import Plumbline, but .* without the query planner"
        ),
    ):
        run(splits, tmp_path / "cluster", scheduler=address)


def test_both_engines_learn_the_same_to_the_bit(splits: dict[str, Path], tmp_path: Path) -> None:
    """A partition fills the same accumulators as a chunk of the native engine."""
    ids = CATEGORICAL >> ops.Categorify(freq_threshold=2)
    median = ["x"] >> ops.FillMedian()
    buckets = ["x", "i"] >> QuantileBucketize(5) >> ops.Rename(postfix="_bucket")
    bounds = ["i"] >> ops.NormalizeMinMax() >> ops.Rename(postfix="_share")
    statistics = ["s", ["s", "h"]] >> ops.JoinGroupby(["x"], ["count", "sum", "std", "max"])
    encoded = ["s"] >> ops.TargetEncoding("click", kfold=3)
    numbers = (median >> ops.Normalize()) + bounds + buckets + statistics + encoded
    workflow = Workflow(ids + numbers + "click")
    native = NativeEngine(compile_unfitted(workflow, KINDS))
    rows = TypedParquet(splits, KINDS)
    by_native = native.fit_transform(rows, tmp_path / "native", lambda rows: None)
    by_nvtabular = run(splits, tmp_path / "nvtabular", workflow=workflow)
    assert by_nvtabular.plan.content_hash == by_native.plan.content_hash


def _files(folder: Path) -> list[Path]:
    return sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())


def test_no_scheduler_at_the_address(splits: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(PlumblineError, match="Wanted a Dask scheduler at ftp://x, but none answer"):
        run(splits, tmp_path / "out", scheduler="ftp://x")


@pytest.mark.parametrize("kinds", [{"x": "continuous"}, {"s": "string"}])
@pytest.mark.parametrize("settings", [SETTINGS, WorkflowSettings(graph="standard")])
def test_a_log_may_have_columns_of_one_kind_only(
    kinds: dict[str, Any], settings: Any, tmp_path: Path
) -> None:
    splits = {"train": write(tmp_path / "raw", table(9, 0, kinds))}
    result = run(splits, tmp_path / "out", kinds=kinds, settings=settings)
    names = [*kinds]
    if settings.graph == "standard":
        names = ["x_bucket", "x"] if "x" in kinds else ["s", "s_count"]
    assert [column.name for column in result.plan.outputs] == names
    encoded = pq.read_table(tmp_path / "out/train/part-00000.parquet")
    assert encoded.schema.names == [*names, "click"]


def test_a_column_without_values_outside_the_training_split(tmp_path: Path) -> None:
    empty = table(5, 1)
    for name in ("i", "s"):
        position = empty.column_names.index(name)
        nulls = pa.nulls(5, empty.schema.field(name).type)
        empty = empty.set_column(position, name, nulls)
    splits = {
        "train": write(tmp_path / "train", empty, table(20, 0)),
        "test": write(tmp_path / "test", empty),
    }
    run(splits, tmp_path / "out")
    encoded = pq.read_table(tmp_path / "out/test/part-00000.parquet")
    assert encoded["i"].to_pylist() == encoded["s"].to_pylist() == [1] * 5
    assert encoded["h"].to_pylist() != [1] * 5


def test_a_column_without_values_in_the_training_split_has_no_vocabulary(tmp_path: Path) -> None:
    marks = table(3, 0).set_column(3, pa.field("s", pa.string()), pa.array(["", None, ""]))
    splits = {"train": write(tmp_path / "train", marks), "test": write(tmp_path / "t", table(9, 0))}
    plan = run(splits, tmp_path / "out").plan
    assert plan.outputs[2].cardinality == 3
    assert pq.read_table(tmp_path / "out/train/part-00000.parquet")["s"].to_pylist() == [1, 1, 1]
    assert set(pq.read_table(tmp_path / "out/test/part-00000.parquet")["s"].to_pylist()) == {1, 2}


def test_what_has_no_compiled_form_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    workflow = Workflow((["x"] >> ops.LambdaOp(abs)) + ["click"])
    with pytest.raises(UnsupportedOperator, match="Column 'x' uses LambdaOp"):
        run({"train": tmp_path / "none"}, tmp_path / "out", workflow=workflow)


def test_a_workflow_need_not_pass_the_click_through(tmp_path: Path) -> None:
    splits = {"train": write(tmp_path / "train", table(9, 0))}
    node = ["x"] >> ops.FillMissing(0)
    run(splits, tmp_path / "out", workflow=Workflow(node))
    encoded = pq.read_table(tmp_path / "out/train/part-00000.parquet")
    assert encoded.column_names == ["x", "click"]
    assert not node.children


def test_the_plan_has_no_path_and_the_scratch_folder_is_removed(tmp_path: Path) -> None:
    run({"train": write(tmp_path / "train", table(9, 0))}, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["plan", "train"]
    assert str(tmp_path) not in (tmp_path / "out/plan/plan.json").read_text()


def test_bad_splits_are_refused(tmp_path: Path) -> None:
    good = write(tmp_path / "train", table(9, 0))
    with pytest.raises(DataError, match=r"none: wanted files part-\*\.parquet of split 'train'"):
        run({"train": tmp_path / "none"}, tmp_path / "out")
    with pytest.raises(DataError, match="The training split has no rows"):
        run({"train": write(tmp_path / "empty", table(0, 0))}, tmp_path / "out")
    lacking = write(tmp_path / "lacking", table(9, 0).drop_columns(["h"]))
    with pytest.raises(DataError, match=r"part-00000\.parquet: wanted column 'h', found x, i, s"):
        run({"train": good, "test": lacking}, tmp_path / "out")
    other = table(9, 0)
    other = other.set_column(0, "x", other["x"].cast(pa.float64()))
    with pytest.raises(DataError, match="wanted column 'x' as float, found double"):
        run({"train": good, "test": write(tmp_path / "other", other)}, tmp_path / "out")


def test_a_failure_leaves_no_plan(
    splits: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(splits, tmp_path / "out")

    def fail(*_: object) -> int:
        raise OSError("disk full")

    monkeypatch.setattr("plumbline.nvtabular.engine.write_encoded", fail)
    with pytest.raises(OSError, match="disk full"):
        run(splits, tmp_path / "out")
    assert not (tmp_path / "out/plan/plan.json").exists()
    assert not (tmp_path / "out/scratch").exists()
    assert not list((tmp_path / "out/train").glob("part-00000.parquet"))


def test_infinite_values_that_are_not_clipped_are_refused(tmp_path: Path) -> None:
    values = table(3, 0, {"x": "continuous"})
    values = values.set_column(0, "x", pa.array([1.0, float("inf"), 2.0], pa.float32()))
    splits = {"train": write(tmp_path / "train", values)}
    with pytest.raises(DataError, match="Column 'x': its mean in the training split is inf"):
        run(splits, tmp_path / "out", kinds={"x": "continuous"})
