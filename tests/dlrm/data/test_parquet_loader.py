"""Input checks of `ParquetLoader`, and the order of row groups; see also test_loader.py."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from plumbline.base.errors import DataError
from plumbline.dlrm.data import row_order
from plumbline.dlrm.data.encoded_rows import EncodedColumns
from plumbline.dlrm.data.loader import Order
from plumbline.dlrm.data.parquet_loader import ParquetLoader
from plumbline.dlrm.data.row_order import RowGroup, windows
from plumbline.dlrm.model.architecture import Architecture


def changed(world, file: Path, column: str, values: pa.Array | None) -> Path:
    """A file of two rows with the column replaced, or without it."""
    table = pq.read_table(world.valid_files[0]).slice(0, 2).drop_columns([column])
    pq.write_table(table if values is None else table.append_column(column, values), file)
    return file


def groups_of(*rows: int) -> list[RowGroup]:
    return [RowGroup(Path(f"{number}.parquet"), 0, count) for number, count in enumerate(rows)]


@pytest.mark.parametrize("lanes", [1, 3, 8])
@pytest.mark.parametrize("order", [None, Order(1, 0)], ids=["in order", "mixed"])
def test_windows_hold_every_row_once_and_are_bounded(monkeypatch, lanes, order):
    monkeypatch.setattr(row_order, "LANES", lanes)
    monkeypatch.setattr(row_order, "SLICE_ROWS", 10)
    groups = groups_of(25, 0, 1, 40, 3, 10, 10)
    seen: Counter[RowGroup] = Counter()
    for number, window in enumerate(windows(groups, order)):
        assert window.number == number
        assert 0 < window.rows <= 10 * (lanes if order else 1)
        assert sorted(window.permutation(order)) == list(range(window.rows))
        for slice_ in window.slices:
            assert slice_.start == seen[slice_.group]  # in order, without gaps
            seen[slice_.group] += slice_.rows
            assert slice_.ends_group == (seen[slice_.group] == slice_.group.rows)
    assert seen == Counter({group: group.rows for group in groups if group.rows})


def test_small_row_groups_fill_a_window_together():
    (window,) = windows(groups_of(*[7] * 50), Order(1, 0))
    assert window.rows == 350


def test_row_groups_are_mixed_and_a_file_may_be_listed_twice(world, tmp_path):
    table = pq.read_table(world.train_files[0])
    pq.write_table(table, tmp_path / "x.parquet", row_group_size=20)
    loader = ParquetLoader([tmp_path / "x.parquet"] * 2, world.architecture, 64)
    row_BC = torch.cat([batch.dense_BC for batch in loader.batches(Order(1, 0))])
    numbers = (row_BC[:, 2] * 4096).int().tolist()  # I10 names the row
    assert sorted(numbers) == sorted(2 * list(range(301)))
    assert len({number // 20 for number in numbers[:64]}) > 8


@pytest.mark.parametrize("order", [None, Order(1, 0)], ids=["in order", "mixed"])
def test_the_batch_size_does_not_change_the_order(world, monkeypatch, order):
    monkeypatch.setattr(row_order, "SLICE_ROWS", 30)
    one, other = (
        torch.cat(
            [
                b.dense_BC
                for b in ParquetLoader(world.train_files, world.architecture, size).batches(order)
            ]
        )
        for size in (64, 77)
    )
    assert torch.equal(one, other)


def test_ids_keep_their_64_bits(world, tmp_path):
    wide = pa.array([2**40, -(2**63)], pa.int64())
    files = [world.train_files[2], changed(world, tmp_path / "x.parquet", "C2", wide)]
    actual = torch.cat([b.ids_BF for b in ParquetLoader(files, world.architecture, 2).batches()])
    assert actual[1:, 1].tolist() == [2**40, -(2**63)]


def test_narrow_ids_are_kept_in_32_bits(list_world):
    columns = EncodedColumns(list_world.architecture)
    schemas = [pq.read_schema(f[0]) for f in (list_world.train_files, list_world.valid_files)]
    assert [columns.has_wide_ids(Path("x"), schema) for schema in schemas] == [False, True]


@pytest.mark.parametrize("type_", [pa.int8(), pa.int32(), pa.int64(), pa.float32(), pa.bool_()])
def test_clicks_of_any_number(world, tmp_path, type_):
    click = pa.array([0, 1]).cast(type_)
    file = changed(world, tmp_path / "x.parquet", "click", click)
    (batch,) = ParquetLoader([file], world.architecture, 2).batches()
    assert batch.click_B.tolist() == [0.0, 1.0]


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("C2", pa.array([1, None]), "column 'C2': wanted int64 without nulls, got int64 with 1"),
        ("C2", pa.array([1, 2], pa.int16()), "column 'C2': wanted int64 .*got int16"),
        ("I1", pa.array([1.0, 2.0]), "column 'I1': wanted float without nulls, got double"),
        ("click", pa.array([0, None], pa.int8()), "column 'click': wanted int8 .*with 1 nulls"),
        ("click", pa.array(["0", "1"]), "column 'click': wanted int8 without nulls, got string"),
    ],
)
def test_a_column_that_does_not_fit_is_named_on_reading(
    world, tmp_path, monkeypatch, column, values, message
):
    monkeypatch.setattr(row_order, "SLICE_ROWS", 50)
    loader = ParquetLoader(
        [world.train_files[0], changed(world, tmp_path / "x.parquet", column, values)],
        world.architecture,
        64,
    )
    batches, before = loader.batches(), 0
    with pytest.raises(DataError, match=rf"x\.parquet: {message}"):
        for batch in batches:
            before += len(batch)
    assert before == 256  # the full batches of the good file's first 300 rows


@pytest.mark.parametrize("column", ["C2", "click"])
def test_a_missing_column_is_refused_at_once(world, tmp_path, column):
    file = changed(world, tmp_path / "x.parquet", column, None)
    with pytest.raises(DataError, match=rf"x\.parquet: .*but {column} is missing"):
        ParquetLoader([file], world.architecture, 64)


def test_damaged_files_are_named(world, tmp_path):
    whole = world.train_files[0].read_bytes()
    cut, spoilt = tmp_path / "cut.parquet", tmp_path / "spoilt.parquet"
    cut.write_bytes(whole[:-9])
    for file in (cut, tmp_path / "absent.parquet"):
        with pytest.raises(DataError, match=rf"{file.name}: not readable as Parquet"):
            ParquetLoader([file], world.architecture, 64)
    spoilt.write_bytes(whole[:4] + b"\xff" * 2000 + whole[2004:])
    loader = ParquetLoader([spoilt], world.architecture, 64)
    with pytest.raises(DataError, match=r"spoilt\.parquet: not readable as Parquet"):
        list(loader.batches(Order(1, 0)))


def test_a_file_that_shrank_is_named(world, tmp_path):
    file = tmp_path / "x.parquet"
    table = pq.read_table(world.train_files[0])
    pq.write_table(table, file)
    loader = ParquetLoader([file], world.architecture, 64)
    pq.write_table(table.slice(0, 100), file)
    with pytest.raises(DataError, match=r"x\.parquet: row group 0 has fewer rows than the 301"):
        list(loader.batches())


def test_no_columns_of_a_kind(tmp_path):
    table = pa.table({"a": pa.array([1, 2], pa.int32()), "b": pa.array([0, 1], pa.int32())})
    floats = pa.table({"x": pa.array([0.5, 1.5], pa.float32())})
    click = pa.array([0, 1], pa.int8())
    for part, architecture in (
        (table, Architecture(("a", "b"), (3, 2), (), 4, (), ())),
        (floats, Architecture((), (), ("x",), 4, (4,), ())),
    ):
        pq.write_table(part.append_column("click", click), tmp_path / "x.parquet")
        (batch,) = ParquetLoader([tmp_path / "x.parquet"], architecture, 4).batches(Order(1, 0))
        assert batch.ids_BF.shape == (2, len(architecture.categorical))
        assert batch.dense_BC.shape == (2, len(architecture.continuous))
    assert list(ParquetLoader([], architecture, 4).batches(Order(1, 0))) == []


def test_skipped_windows_are_not_converted(world, monkeypatch):
    monkeypatch.setattr(row_order, "SLICE_ROWS", 30)
    converted = []
    empty = EncodedColumns.empty

    def counted(self, count, wide_ids):
        converted.append(count)
        return empty(self, count, wide_ids)

    monkeypatch.setattr(EncodedColumns, "empty", counted)
    loader = ParquetLoader(world.train_files, world.architecture, 64)
    list(loader.batches(Order(1, 0), skip=17))
    assert 0 < sum(converted) < 64 + 3 + 8 * 30


def test_batches_do_not_keep_their_window(world):
    (batch, *_) = ParquetLoader(world.train_files, world.architecture, 64).batches()
    for values in (batch.ids_BF, batch.dense_BC, batch.click_B):
        assert values.untyped_storage().nbytes() == values.nbytes
        assert values.numpy().flags.writeable


def test_it_does_not_import_merlin():
    code = (
        "import sys, plumbline.dlrm.data.parquet_loader; "
        "heavy = {'merlin', 'pandas', 'pydantic', 'dask'} & set(sys.modules); "
        "sys.exit(', '.join(sorted(heavy)) or None)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, env=os.environ
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_order_of_rows_is_a_known_answer(world):
    """It determines the weights of a seed: a change breaks the resumption of older runs."""
    loader = ParquetLoader(world.train_files, world.architecture, 6)
    batch = next(loader.batches(Order(7, 3)))
    assert np.round(batch.dense_BC[:, 2].numpy() * 4096).astype(int).tolist() == [
        218,
        1103,
        243,
        237,
        530,
        97,
    ]
