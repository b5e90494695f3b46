"""The Spark engine and the native engine: the same plan, and the same rows in the same order."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings

from plumbline.base.errors import DataError, MachineError, PlumblineError
from plumbline.columns.rows import Rows
from plumbline.columns.typed import TypedParquet
from plumbline.expressions import Where
from plumbline.features.engine import part_files
from plumbline.features.engine.native_engine import NativeEngine
from plumbline.features.fitting.kept import STATISTICS, require_complete
from plumbline.features.plan.plan import read_plan
from plumbline.nvtabular.compile import compile_unfitted
from plumbline.nvtabular.library import Workflow, ops
from plumbline.spark import engine, jobs
from plumbline.spark.engine import SparkEngine
from plumbline.spark.jobs import Jobs
from plumbline.spark.tasks import KeepTables, Place
from tests.contract import test_one_plan
from tests.contract.tables import no_progress, read, write_splits
from tests.contract.test_engines import cases
from tests.contract.test_one_plan import KINDS, ROWS, graph, write

pytestmark = pytest.mark.timeout(900)  # on a busy machine

PLAN = compile_unfitted(graph(), KINDS)
NOWHERE = Place(Path(), Path(), "")


def source_of(folder: Path, cuts: list[int], **others: pa.Table) -> TypedParquet:
    """The rows as training files, and other splits of one file each."""
    folders = write(folder, ROWS, cuts)
    for split, table in others.items():
        (folder / split).mkdir()
        pq.write_table(table, folder / split / "part-00000.parquet", row_group_size=40)
        folders[split] = folder / split
    return TypedParquet(folders, KINDS)


def rows_of(table: pa.Table) -> list[Any]:
    """The columns, with one value for NaN."""
    columns = [np.asarray(c) if pa.types.is_floating(c.type) else c for c in table.columns]
    return [
        c.view(np.int32).tolist() if isinstance(c, np.ndarray) else c.to_pylist() for c in columns
    ]


def assert_equal_runs(one: Path, other: Path, splits: Any) -> None:
    """Equal plans, and equal rows in the same order, floats to the bit."""
    plans = [read_plan(folder / "plan") for folder in (one, other)]
    assert plans[0].content_hash == plans[1].content_hash
    for split in splits:
        tables = [read(folder / split) for folder in (one, other)]
        assert tables[0].schema == tables[1].schema
        assert rows_of(tables[0]) == rows_of(tables[1]), split


@pytest.mark.parametrize(("files", "tasks"), [(1, 1), (2, 2), (7, 4), (50, 8)])
def test_files_and_tasks_do_not_matter(
    session: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: int, tasks: int
) -> None:
    """Every operator that learns, folds of the training rows too, shuffled into three parts."""
    for module in (part_files, engine):
        monkeypatch.setattr(module, "shuffled_parts", lambda *_: 3)
    monkeypatch.setattr(jobs, "TASKS_PER_CORE", tasks // 2)
    monkeypatch.setattr(jobs, "CHUNKS_PER_TASK", 1_000)
    cuts = np.linspace(0, len(ROWS), files + 1, dtype=int)[1:-1].tolist()
    source = source_of(tmp_path / "raw", cuts, valid=ROWS.slice(0, 90), test=ROWS.slice(0, 0))
    assert Jobs(session, NOWHERE)._numbers(100).rdd.getNumPartitions() == tasks
    out, read_rows = tmp_path / "spark", []
    result = SparkEngine(PLAN, session).fit_transform(source, out, read_rows.append, 11)
    expected = NativeEngine(PLAN).fit_transform(source, tmp_path / "native", no_progress, 11)
    assert_equal_runs(out, tmp_path / "native", ("train", "valid", "test"))
    assert result.plan.content_hash == expected.plan.content_hash
    assert result.rows == expected.rows == {"train": 400, "valid": 90, "test": 0}
    assert sum(read_rows) >= 400 + 400 + 90
    assert sorted(path.name for path in out.iterdir()) == ["plan", "test", "train", "valid"]
    assert [path.name for path in sorted((out / "train").iterdir())] == [
        f"part-{part:05d}.parquet" for part in range(3)
    ]


def test_the_kept_statistics_are_those_of_the_native_engine(session: Any, tmp_path: Path) -> None:
    """Also the counts of values that are too rare for the plan's vocabularies."""
    source = source_of(tmp_path / "raw", [150])
    for name, engine_ in (("spark", SparkEngine(PLAN, session)), ("native", NativeEngine(PLAN))):
        engine_.fit_transform(source, tmp_path / name, no_progress, keep_statistics=True)
        require_complete(tmp_path / name / STATISTICS)
    assert_equal_runs(tmp_path / "spark", tmp_path / "native", ("train",))
    files = [
        sorted((tmp_path / name / STATISTICS).glob("*.parquet")) for name in ("spark", "native")
    ]
    assert files[1] and [one.name for one in files[0]] == [one.name for one in files[1]]
    for pair in zip(*files, strict=True):
        tables = [pq.read_table(file) for file in pair]
        if "key" in tables[0].schema.names:
            tables = [table.sort_by("key") for table in tables]
        assert tables[0] == tables[1], pair[0].name


def test_the_plan_is_that_of_other_engines_and_cuts(session: Any) -> None:
    def run(workflow: Workflow, splits: dict[str, Path], out: Path) -> None:
        plan = compile_unfitted(workflow, KINDS)
        SparkEngine(plan, session).fit_transform(TypedParquet(splits, KINDS), out, no_progress)

    expected = test_one_plan.plan_hash(test_one_plan.native, graph(), [])
    assert test_one_plan.plan_hash(run, graph(), [0, 13, 13, 399]) == expected


@settings(
    max_examples=8,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.function_scoped_fixture,
    ],
)
@given(case=cases())
def test_any_graph(session: Any, case: Any) -> None:
    """Drawn graphs and frames: nulls, lists, unseen values, joined tables, conditions, no rows."""
    kinds, drawn, train, test = case
    plan = compile_unfitted(drawn.build(), kinds)
    assume(plan.outputs)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = TypedParquet(write_splits(folder / "raw", train, test), kinds)
        engines = {"native": NativeEngine(plan), "spark": SparkEngine(plan, session)}
        failures = {}
        for engine_name, run in engines.items():
            try:
                run.fit_transform(source, folder / engine_name, no_progress, 3)
            except DataError as error:
                failures[engine_name] = str(error)
        assert failures.get("spark") == failures.get("native")
        if not failures:
            assert_equal_runs(folder / "spark", folder / "native", ("train", "test"))


def test_rare_values_do_not_leave_spark(
    session: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The driver gets the values that reach the threshold, of each column by its own."""
    many = Workflow(
        (["user"] >> ops.Categorify(freq_threshold=20))
        + (
            ["item"]
            >> ops.Categorify(freq_threshold=12, single_table=True)
            >> ops.Rename(postfix="_")
        )
        + (["tags"] >> ops.Categorify() >> ops.Rename(postfix="_t"))
    )
    plan = compile_unfitted(many, KINDS)
    source = source_of(tmp_path / "raw", [100])
    collected: list[pa.Table] = []
    by_reading = jobs._by_reading

    def spied(files: Any) -> dict[int, pa.Table]:
        found = by_reading(files)
        collected.extend(found.values())
        return found

    monkeypatch.setattr(jobs, "_by_reading", spied)
    SparkEngine(plan, session).fit_transform(source, tmp_path / "spark", no_progress)
    monkeypatch.undo()
    NativeEngine(plan).fit_transform(source, tmp_path / "native", no_progress)
    assert_equal_runs(tmp_path / "spark", tmp_path / "native", ["train"])
    assert min(min(table["value"].to_pylist()) for table in collected) >= 12


def test_no_training_rows(session: Any, tmp_path: Path) -> None:
    engine = SparkEngine(PLAN, session)
    empty = TypedParquet(write(tmp_path / "raw", ROWS.slice(0, 0), []), KINDS)
    with pytest.raises(DataError, match="has no rows: there is nothing to fit"):
        engine.fit_transform(empty, tmp_path / "out", no_progress)


def test_conditions_that_no_row_meets(session: Any, tmp_path: Path) -> None:
    ids = ["user"] >> ops.Categorify()
    workflow = Workflow(ids + (["price"] >> ops.Filter(f=Where("price", ">", 1e30))))
    engine = SparkEngine(compile_unfitted(workflow, KINDS), session)
    with pytest.raises(DataError, match="leave out every training row"):
        engine.fit_transform(source_of(tmp_path / "raw", [100]), tmp_path / "out", no_progress, 1)


def sent(source: TypedParquet, change: Callable[[int, Callable[[], Rows]], Any]) -> Any:
    """The source with other chunks. `change` is local to a test: workers do not import tests."""

    class Changed:
        kinds, splits = source.kinds, source.splits

        def chunks(self, split: str) -> Any:
            for number, chunk in enumerate(source.chunks(split)):
                yield change(number, chunk)

    return Changed()


@pytest.mark.parametrize("fault", ["the process dies", "the disk fails"])
def test_files_are_written_once_though_attempts_die(
    session: Any, tmp_path: Path, fault: str
) -> None:
    """Chunk 3 of a split fails once in each pass."""
    marks = tmp_path / "marks"
    marks.mkdir()

    def change(number: int, chunk: Callable[[], Rows]) -> Callable[[], Rows]:
        mark = marks / str(len(list(marks.iterdir())))

        def read_with_fault() -> Rows:
            if not mark.exists():
                mark.touch()
                if fault == "the disk fails":
                    raise OSError(5, "Input/output error")
                os.kill(os.getpid(), 9)
            return chunk()

        return read_with_fault if number == 3 else chunk

    source = source_of(tmp_path / "raw", [100, 200], valid=ROWS.slice(0, 170))
    out = tmp_path / "spark"
    result = SparkEngine(PLAN, session).fit_transform(sent(source, change), out, no_progress, 5)
    NativeEngine(PLAN).fit_transform(source, tmp_path / "native", no_progress, 5)
    assert len(list(marks.iterdir())) >= 3
    assert result.rows == {"train": 400, "valid": 170}
    assert_equal_runs(out, tmp_path / "native", ("train", "valid"))
    assert sorted(path.name for path in out.iterdir()) == ["plan", "train", "valid"]
    for split in ("train", "valid"):
        names = sorted(path.name for path in (out / split).iterdir())
        assert names == [f"part-{part:05d}.parquet" for part in range(len(names))]


@pytest.mark.parametrize("error", ["a log", "the disk", "a bug"])
def test_an_error_of_a_task_is_raised_by_the_engine(
    session: Any, tmp_path: Path, error: str
) -> None:
    def change(number: int, chunk: Callable[[], Rows]) -> Callable[[], Rows]:
        def fail() -> Rows:
            if error == "a log":
                raise DataError("log.csv: “é”\nis not it. Run again.")
            if error == "the disk":
                raise OSError(28, "No space left on device", "/data/x")
            raise KeyError("x")

        return fail

    source = sent(source_of(tmp_path / "raw", [100]), change)
    wanted: dict[str, Any] = {"a log": DataError, "the disk": MachineError, "a bug": Exception}
    with pytest.raises(wanted[error]) as raised:
        SparkEngine(PLAN, session).fit_transform(source, tmp_path / "out", no_progress)
    texts = {"a log": "log.csv: “é”\nis not it. Run again.", "the disk": "/data/x: No space left"}
    if error == "a bug":
        assert not isinstance(raised.value, PlumblineError)
        assert "KeyError: 'x'" in str(raised.value)
    else:
        assert str(raised.value).startswith(texts[error])
    assert not [path for path in (tmp_path / "out").iterdir() if "scratch" in path.name]


def test_a_statistic_that_is_not_finite(session: Any, tmp_path: Path) -> None:
    kinds: dict[str, Any] = {"price": "continuous"}
    plan = compile_unfitted(Workflow(["price"] >> ops.Normalize()), kinds)
    table = pa.table(
        {"price": pa.array([1.0, math.inf], pa.float32()), "click": pa.array([0, 1], pa.int8())}
    )
    source = TypedParquet(write(tmp_path / "raw", table, [1]), kinds)
    messages = []
    for runner in (NativeEngine(plan), SparkEngine(plan, session)):
        with pytest.raises(DataError, match="its mean in the training split is inf") as raised:
            runner.fit_transform(source, tmp_path / "out", no_progress)
        messages.append(str(raised.value))
    assert messages[0] == messages[1]


def test_workers_without_the_folder(session: Any, tmp_path: Path) -> None:
    """As on a cluster whose file system is not shared."""
    place = Place(tmp_path, tmp_path / "elsewhere", "name")
    with pytest.raises(MachineError, match=r"elsewhere: missing on a Spark worker.*shared file sy"):
        Jobs(session, place).written(1, KeepTables(place).__call__)
