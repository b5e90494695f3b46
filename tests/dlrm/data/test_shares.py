"""Processes divide the rows of every batch, and all have as many batches, whatever the files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from plumbline.dlrm.data import row_order
from plumbline.dlrm.data.loader import Batch, Member, Order
from plumbline.dlrm.data.parquet_loader import ParquetLoader
from plumbline.dlrm.data.row_order import RowGroup, windows
from plumbline.dlrm.data.shares import Shares

ORDER = Order(3, 1)


def batches(
    world, files: list[Path], member: Member | None, order: Order | None = ORDER, skip: int = 0
) -> list[Batch]:
    loader = ParquetLoader(files, world.architecture, 64, member)
    with closing(loader.batches(order, skip)) as read:
        return list(read)


def rows_of(batch: Batch) -> Iterator[tuple]:
    """Each row as numbers that name it, lists included."""
    lists = []
    for ids_N, offsets_B1 in batch.bags:
        lists.append([part.tolist() for part in ids_N.split(offsets_B1.diff().tolist())])
    for row in range(len(batch.click_B)):
        yield (
            tuple(batch.dense_BC[row].tolist()),
            tuple(batch.ids_BF[row].tolist()),
            batch.click_B[row].item(),
            tuple(tuple(bag[row]) for bag in lists),
        )


@pytest.fixture
def many_groups(world, tmp_path: Path) -> list[Path]:
    """The rows of all files in 60 row groups."""
    table = pa.concat_tables([pq.read_table(file) for file in world.train_files])
    pq.write_table(table, tmp_path / "many.parquet", row_group_size=20)
    return [tmp_path / "many.parquet"]


@pytest.mark.parametrize("count", [2, 3, 4])
@pytest.mark.parametrize("order", [ORDER, None], ids=["shuffled", "in order"])
@pytest.mark.parametrize("skip", [0, 5])
def test_the_shares_of_a_batch_are_the_batch(world, many_groups, count, order, skip, monkeypatch):
    monkeypatch.setattr(row_order, "SLICE_ROWS", 13)  # several windows, slices of two groups
    for files in (world.train_files, many_groups):
        whole = batches(world, files, None, order, skip)
        shares = [batches(world, files, Member(rank, count), order, skip) for rank in range(count)]
        for batch, *parts in zip(whole, *shares, strict=True):
            together = sorted(row for part in parts for row in rows_of(part))
            assert together == sorted(rows_of(batch))
            longest = max(len(part.click_B) for part in parts)
            for part in parts:
                assert part.share is not None
                assert (part.share.rows, part.share.longest) == (len(batch), longest)
                assert len(part) == len(batch)


def test_lists_are_divided_too(list_world, tmp_path):
    table = pa.concat_tables([pq.read_table(file) for file in list_world.train_files])
    pq.write_table(table, tmp_path / "many.parquet", row_group_size=20)
    for files in (list_world.train_files, [tmp_path / "many.parquet"]):
        whole = batches(list_world, files, None)
        shares = [batches(list_world, files, Member(rank, 2)) for rank in range(2)]
        for batch, *parts in zip(whole, *shares, strict=True):
            together = sorted(row for part in parts for row in rows_of(part))
            assert together == sorted(rows_of(batch))


def test_a_process_may_have_no_row(world, tmp_path):
    table = pa.concat_tables([pq.read_table(file) for file in world.train_files])
    pq.write_table(table.slice(0, 65), tmp_path / "one more.parquet")
    *_, last = batches(world, [tmp_path / "one more.parquet"], Member(1, 2))
    assert len(last.click_B) == 0 and len(last) == 1
    assert last.ids_BF.shape == (0, len(world.architecture.single))


def test_with_enough_row_groups_a_process_decodes_its_lanes_only(world, many_groups, monkeypatch):
    monkeypatch.setattr(row_order, "SLICE_ROWS", 13)
    whole = ParquetLoader._parts
    read: dict[int, set[int]] = {0: set(), 1: set()}
    for rank, numbers in read.items():

        def parts(self, slice_, readers, numbers=numbers):
            numbers.add(slice_.group.number)
            return whole(self, slice_, readers)

        with monkeypatch.context() as patch:
            patch.setattr(ParquetLoader, "_parts", parts)
            batches(world, many_groups, Member(rank, 2))
    assert not read[0] & read[1]
    assert read[0] | read[1] == set(range(58))
    assert abs(len(read[0]) - len(read[1])) <= 8


def test_lanes_are_divided_only_if_they_stay_busy(monkeypatch) -> None:
    monkeypatch.setattr(row_order, "SLICE_ROWS", 5)
    groups = [RowGroup(Path("a"), number, 5) for number in range(32)]
    assert Shares.of(Member(0, 2), groups, ORDER).by_lanes
    assert not Shares.of(Member(0, 2), groups, None).by_lanes
    assert not Shares.of(Member(0, 3), groups, ORDER).by_lanes
    assert not Shares.of(Member(0, 2), groups[1:], ORDER).by_lanes
    monkeypatch.setattr(row_order, "SLICE_ROWS", 6)
    assert not Shares.of(Member(0, 2), groups, ORDER).by_lanes


def test_every_row_of_a_window_has_its_lane(monkeypatch) -> None:
    monkeypatch.setattr(row_order, "SLICE_ROWS", 7)
    groups = [RowGroup(Path("a"), number, 5) for number in range(3)]
    first, *_ = windows(groups, ORDER)
    assert first.lane_N.tolist() == [0] * 7 + [1] * 5  # the rest of a group waits for its lane
