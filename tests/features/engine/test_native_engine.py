"""The native engine's files: order, shuffling, parts, and interrupted runs."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from plumbline.base.errors import DataError, PlanError
from plumbline.columns.typed import TypedParquet, typed_schema
from plumbline.features.engine.encoded import EtlResult
from plumbline.features.engine.native_engine import NativeEngine
from plumbline.features.engine.part_files import OrderedParts, ShuffledParts
from plumbline.features.operators.categorify import FitCategorify
from plumbline.features.operators.fill_missing import FillMissing
from plumbline.features.operators.normalize import FitNormalize
from plumbline.features.plan.plan import InputColumn, read_plan
from plumbline.features.plan.unfitted import UnfittedColumn, UnfittedPlan
from plumbline.features.steps.chains import Chain
from tests.row_sources import TableSource, table_of

KINDS: dict[str, Any] = {"x": "continuous", "s": "string", "l": "integer_list"}
PLAN = UnfittedPlan(
    tuple(InputColumn(name, kind) for name, kind in KINDS.items()),
    (
        UnfittedColumn("l", Chain(("l",), (FitCategorify(),))),
        UnfittedColumn("s", Chain(("s",), (FitCategorify(),))),
        UnfittedColumn("x", Chain(("x",), (FillMissing(0.0),))),
    ),
)
ROWS = 50
TABLE = table_of(
    KINDS,
    [n % 2 for n in range(ROWS)],
    x=[float(n) for n in range(ROWS)],
    s=[f"{n % 7}" if n % 5 else None for n in range(ROWS)],
    l=[[n % 3] * (n % 4) if n % 6 else None for n in range(ROWS)],
)
SOURCE = TableSource(KINDS, {"train": TABLE, "test": TABLE.slice(0, 20)}, 8)


def run(out: Path, source: Any = SOURCE, seed: int | None = None) -> EtlResult:
    return NativeEngine(PLAN).fit_transform(source, out, lambda rows: None, seed)


def rows_in(folder: Path) -> pa.Table:
    return pa.concat_tables([pq.read_table(file) for file in sorted(folder.iterdir())])


def test_files_keep_the_order_of_rows(tmp_path: Path) -> None:
    result = run(tmp_path)
    assert result.rows == {"train": ROWS, "test": 20}
    train = rows_in(tmp_path / "train")
    assert train.column_names == ["l", "s", "x", "click"]
    assert train.schema.field("s").type == pa.int32()
    assert train.schema.field("l").type.value_type == pa.int32()
    assert train["x"].to_pylist() == TABLE["x"].to_pylist()
    assert [len(ids) for ids in train["l"].to_pylist()] == [
        len(values or []) for values in TABLE["l"].to_pylist()
    ]
    assert (np.asarray(train["s"])[::5] == 1).all()
    assert rows_in(tmp_path / "test").equals(train.slice(0, 20))


def test_shuffling_keeps_the_rows_and_depends_on_the_seed(tmp_path: Path) -> None:
    orders = []
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        run(tmp_path / name, seed=seed)
        orders.append(rows_in(tmp_path / name / "train"))
    run(tmp_path / "plain")
    plain = rows_in(tmp_path / "plain" / "train")
    assert orders[0].equals(orders[1])
    assert not orders[0].equals(orders[2])
    for order in orders:
        assert not order.equals(plain)
        assert order.take(np.argsort(np.asarray(order["x"]))).equals(plain)
        assert order.schema == plain.schema
    assert rows_in(tmp_path / "a" / "test").equals(rows_in(tmp_path / "plain" / "test"))
    assert [file.name for file in (tmp_path / "a" / "train").iterdir()] == ["part-00000.parquet"]


def test_the_size_of_parts_does_not_depend_on_the_tables(tmp_path: Path) -> None:
    table = pa.table({"n": np.arange(23)})
    with ThreadPoolExecutor(2) as pool, OrderedParts(tmp_path, table.schema, pool, 5) as parts:
        for start, end in ((0, 1), (1, 12), (12, 12), (12, 23)):
            parts.write(table.slice(start, end - start))
    sizes = [pq.read_metadata(file).num_rows for file in sorted(tmp_path.iterdir())]
    assert sizes == [5, 5, 5, 5, 3]
    assert rows_in(tmp_path).equals(table)


def test_a_shuffled_row_can_get_any_position(tmp_path: Path) -> None:
    table = pa.table({"n": np.arange(1000)})
    with (
        ThreadPoolExecutor(2) as pool,
        ShuffledParts(tmp_path, table.schema, pool, 3, len(table), 100) as parts,
    ):
        for start in range(0, 1000, 250):
            parts.write(table.slice(start, 250))
    files = sorted(tmp_path.iterdir())
    assert len(files) == 10
    for file in files:
        values = np.asarray(pq.read_table(file)["n"])
        assert 60 < len(values) < 140
        assert len(np.unique(values // 250)) == 4
        assert (np.diff(values) < 0).sum() > len(values) / 4
    assert sorted(rows_in(tmp_path)["n"].to_pylist()) == list(range(1000))


def test_no_rows(tmp_path: Path) -> None:
    tables = {"train": TABLE, "test": TABLE.slice(0, 0)}
    assert run(tmp_path / "a", TableSource(KINDS, tables)).rows["test"] == 0
    assert rows_in(tmp_path / "a/test").num_rows == 0
    with pytest.raises(DataError, match="training split has no rows: there is nothing to fit"):
        run(tmp_path / "b", TableSource(KINDS, {"train": TABLE.slice(0, 0)}))


class _Interrupted(Exception):
    pass


@pytest.mark.parametrize("calls", [0, 1, 8, 9])
@pytest.mark.parametrize("seed", [None, 1])
def test_an_interrupted_run_leaves_no_plan(tmp_path: Path, calls: int, seed: int | None) -> None:
    run(tmp_path)
    done = 0

    def interrupt(rows: int) -> None:
        nonlocal done
        if done == calls:
            raise _Interrupted
        done += 1

    with pytest.raises(_Interrupted):
        NativeEngine(PLAN).fit_transform(SOURCE, tmp_path, interrupt, seed)
    with pytest.raises(PlanError, match="missing from the feature plan"):
        read_plan(tmp_path / "plan")


def test_typed_parquet_and_tables_in_memory_give_the_same_files(tmp_path: Path) -> None:
    folder = tmp_path / "typed"
    folder.mkdir()
    for number in range(2):
        pq.write_table(TABLE.slice(number * 30, 30), folder / f"part-{number}.parquet",
                       row_group_size=11)  # fmt: skip
    source = TypedParquet({"train": folder}, KINDS)
    assert source.splits == {"train": ROWS}
    run(tmp_path / "a", source)
    run(tmp_path / "b", TableSource(KINDS, {"train": TABLE}, ROWS))
    assert rows_in(tmp_path / "a/train").equals(rows_in(tmp_path / "b/train"))
    assert typed_schema(KINDS).names == TABLE.column_names


def test_typed_parquet_with_missing_files_or_columns_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"wanted files part-\*\.parquet of split 'train', found"):
        run(tmp_path / "out", TypedParquet({"train": tmp_path}, KINDS))
    pq.write_table(TABLE.drop(["s"]), tmp_path / "part-00000.parquet")
    with pytest.raises(DataError, match="wanted column 's', found x, l, click"):
        run(tmp_path / "out", TypedParquet({"train": tmp_path}, KINDS))


def test_damaged_typed_parquet_is_refused(tmp_path: Path) -> None:
    pq.write_table(TABLE, tmp_path / "part-00000.parquet")
    content = (tmp_path / "part-00000.parquet").read_bytes()
    (tmp_path / "part-00000.parquet").write_bytes(content[:-10])
    with pytest.raises(DataError, match=r"part-00000\.parquet: wanted a Parquet file of stage ing"):
        run(tmp_path / "out", TypedParquet({"train": tmp_path}, KINDS))


def test_infinite_statistics_are_refused(tmp_path: Path) -> None:
    plan = UnfittedPlan(PLAN.inputs, (UnfittedColumn("x", Chain(("x",), (FitNormalize(),))),))
    table = table_of(KINDS, [0], x=[float("inf")], s=["a"], l=[[]])
    source = TableSource(KINDS, {"train": table})
    with pytest.raises(DataError, match="Column 'x': its mean in the training split is inf"):
        NativeEngine(plan).fit_transform(source, tmp_path, lambda rows: None)
