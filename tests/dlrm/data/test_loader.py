"""Every row once per epoch, in an order that depends only on seed and epoch."""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from plumbline.base.errors import DataError
from plumbline.dlrm.data import merlin_loader as merlin_loader
from plumbline.dlrm.data import row_order
from plumbline.dlrm.data.device_loader import DeviceLoader
from plumbline.dlrm.data.loader import Batch, DataLoader, Order
from plumbline.dlrm.data.merlin_loader import MerlinLoader
from plumbline.dlrm.data.parquet_loader import ParquetLoader
from plumbline.nvtabular.merlin_data import merlin_dataset
from tests.dlrm.data.late_transfer import LateTransfer

MakeLoader = Callable[..., DataLoader]


def merlin(world, files: Sequence[Path], batch_size: int) -> DataLoader:
    dataset = merlin_dataset(files, world.plan, "cpu")
    return MerlinLoader(dataset, world.architecture, batch_size, "cpu")


def parquet(world, files: Sequence[Path], batch_size: int) -> DataLoader:
    return ParquetLoader(files, world.architecture, batch_size)


def device(world, files: Sequence[Path], batch_size: int) -> DataLoader:
    return DeviceLoader(ParquetLoader(files, world.architecture, batch_size), LateTransfer())


@pytest.fixture(params=[merlin, parquet, device], ids=lambda make: make.__name__)
def make_loader(request) -> MakeLoader:
    return request.param


@pytest.fixture(params=["alone", "mixed", "all in memory"])
def window(request, monkeypatch):
    """Rows in memory at a time: a file or less, several files, or all."""
    partitions, lanes, rows = {"alone": (1, 1, 50), "mixed": (2, 3, 47)}.get(
        request.param, (100, 8, 32_768)
    )
    monkeypatch.setattr(merlin_loader, "PARTITIONS_PER_CHUNK", partitions)
    monkeypatch.setattr(row_order, "LANES", lanes)
    monkeypatch.setattr(row_order, "SLICE_ROWS", rows)


@pytest.fixture
def read(world, make_loader):
    def read_(
        order: Order | None, batch_size: int = 64, skip: int = 0, files: Sequence[Path] = ()
    ) -> list[Batch]:
        return list(make_loader(world, files or world.train_files, batch_size).batches(order, skip))

    return read_


def rows(batches: Sequence[Batch]) -> np.ndarray:
    """All rows as one table of float64: ids, floats, click."""
    parts = [
        torch.cat([b.ids_BF.double(), b.dense_BC.double(), b.click_B.double()[:, None]], dim=1)
        for b in batches
    ]
    return torch.cat(parts).numpy()


def written(world, files: Sequence[Path]) -> np.ndarray:
    names = [*world.architecture.categorical, *world.architecture.continuous, "click"]
    return np.concatenate(
        [
            np.column_stack([pq.read_table(file)[name].to_numpy() for name in names])
            for file in files
        ]
    )


def as_set(table: np.ndarray) -> set[tuple[float, ...]]:
    return {tuple(row) for row in table}


def owners(world) -> dict[tuple[float, ...], str]:
    """Row to the name of its file."""
    return {row: file.name for file in world.train_files for row in as_set(written(world, [file]))}


@pytest.mark.usefixtures("window")
def test_every_row_once_with_its_own_values(world, make_loader):
    loader = make_loader(world, world.train_files, 64)
    batches = list(loader.batches(Order(seed=1, epoch=0)))
    wanted, got = written(world, world.train_files), rows(batches)
    assert loader.rows == len(got) == len(wanted)
    assert as_set(got) == as_set(wanted)
    assert [len(batch) for batch in batches] == [64] * 18 + [3]
    for batch in batches:
        assert batch.ids_BF.dtype == torch.int64
        assert batch.dense_BC.dtype == batch.click_B.dtype == torch.float32
        assert batch.ids_BF.is_contiguous() and batch.dense_BC.is_contiguous()


@pytest.mark.usefixtures("window")
def test_without_an_order_rows_are_in_file_order(world, read):
    assert np.array_equal(rows(read(None)), written(world, world.train_files))


@pytest.mark.usefixtures("window")
def test_seed_and_epoch_decide_the_order(read):
    one = rows(read(Order(1, 0)))
    np.random.seed(99)  # the global state must not matter
    random.seed(99)
    torch.manual_seed(99)
    assert np.array_equal(one, rows(read(Order(1, 0))))
    for other in (Order(1, 1), Order(2, 0)):
        assert not np.array_equal(one, rows(read(other)))


def test_a_loader_can_be_read_repeatedly(world, make_loader):
    loader = make_loader(world, world.train_files, 64)
    with closing(loader.batches(Order(1, 0))) as left:
        next(left)
        one, two = (rows(list(loader.batches(Order(1, 0)))) for _ in range(2))
    assert np.array_equal(one, two)


def test_the_order_of_files_changes_between_epochs(world, read, monkeypatch):
    monkeypatch.setattr(merlin_loader, "PARTITIONS_PER_CHUNK", 1)
    monkeypatch.setattr(row_order, "LANES", 1)
    monkeypatch.setattr(row_order, "SLICE_ROWS", 50)
    owner = owners(world)
    first = {owner[tuple(rows(read(Order(1, epoch)))[0])] for epoch in range(12)}
    assert len(first) > 1


def test_rows_of_different_files_are_mixed_in_a_batch(world, read):
    owner = owners(world)
    assert len({owner[tuple(row)] for row in rows(read(Order(1, 0))[:1])}) > 2


def test_global_random_states_are_not_touched(read):
    numpy_before, torch_before = np.random.get_state()[1].copy(), torch.random.get_rng_state()
    python_before = random.getstate()
    read(Order(1, 0))
    assert np.array_equal(numpy_before, np.random.get_state()[1])
    assert torch.equal(torch_before, torch.random.get_rng_state())
    assert python_before == random.getstate()


@pytest.mark.usefixtures("window")
@pytest.mark.parametrize("skip", [1, 7, 18, 19, 1000])
@pytest.mark.parametrize("order", [None, Order(1, 0)], ids=["in order", "mixed"])
def test_an_epoch_resumes_where_it_stopped(read, order, skip):
    whole, rest = read(order), read(order, skip=skip)
    assert len(rest) == max(0, len(whole) - skip)
    if rest:
        assert np.array_equal(rows(rest), rows(whole[skip:]))


@pytest.mark.usefixtures("window")
@pytest.mark.parametrize("batch_size", [1, 301, 1155, 5000])
def test_any_batch_size(world, read, batch_size):
    files = world.train_files if batch_size > 1 else world.train_files[2:4]
    got = rows(read(Order(1, 0), batch_size, files=files))
    assert as_set(got) == as_set(written(world, files))


def test_no_rows_give_no_batches_without_waiting(world, make_loader):
    loader = make_loader(world, [world.train_files[3]], 64)
    assert loader.rows == 0
    assert list(loader.batches(Order(1, 0))) == list(loader.batches()) == []


def test_closing_early_ends_the_reading_thread(world, make_loader):
    before = threading.active_count()
    with closing(make_loader(world, world.train_files, 16).batches(Order(1, 0))) as batches:
        next(batches)
        assert threading.active_count() > before
    assert threading.active_count() == before


def with_lists(batches: Sequence[Batch]) -> list[tuple[object, ...]]:
    """Ids, lists, float and click of every row."""
    rows_found = []
    for batch in batches:
        lists = [
            [ids_N[a:b].tolist() for a, b in pairwise(offsets_B1.tolist())]
            for ids_N, offsets_B1 in batch.bags
        ]
        assert all(ids.dtype == ends.dtype == torch.int64 for ids, ends in batch.bags)
        assert all(ends[0] == 0 and ends[-1] == len(ids) for ids, ends in batch.bags)
        columns = (batch.ids_BF.tolist(), *lists, batch.dense_BC.tolist(), batch.click_B.tolist())
        rows_found += [*zip(*columns, strict=True)]
    return rows_found


@pytest.mark.usefixtures("window")
@pytest.mark.parametrize("batch_size", [1, 7, 64, 1000])
def test_lists_stay_with_their_rows(list_world, make_loader, batch_size):
    table = pa.concat_tables([pq.read_table(file) for file in list_world.train_files])
    wanted = [
        ([r["zebra"], r["C2"]], r["tags"], r["apple"], [r["I1"]], float(r["click"]))
        for r in table.to_pylist()
    ]
    files = list_world.train_files if batch_size > 1 else list_world.train_files[2:4]
    wanted = wanted if batch_size > 1 else wanted[551:552]
    loader = make_loader(list_world, files, batch_size)
    assert with_lists(list(loader.batches())) == wanted
    mixed = with_lists(list(loader.batches(Order(1, 0))))
    assert sorted(mixed) == sorted(wanted)
    assert len(wanted) == 1 or mixed != wanted


@pytest.mark.usefixtures("window")
def test_an_epoch_of_lists_resumes_where_it_stopped(list_world, make_loader):
    loader = make_loader(list_world, list_world.train_files, 64)
    whole = with_lists(list(loader.batches(Order(1, 0))))
    assert with_lists(list(loader.batches(Order(1, 0), skip=3))) == whole[3 * 64 :]


def test_all_give_the_same_batches_in_file_order(world, list_world):
    for data, make in itertools.product((world, list_world), (merlin, device)):
        got = [make_(data, data.train_files, 50).batches() for make_ in (make, parquet)]
        for one, other in zip(*got, strict=True):
            assert torch.equal(one.ids_BF, other.ids_BF)
            assert torch.equal(one.dense_BC, other.dense_BC)
            assert torch.equal(one.click_B, other.click_B)
            for bag, other_bag in zip(one.bags, other.bags, strict=True):
                assert all(map(torch.equal, bag, other_bag))


def test_merlin_other_columns_are_refused(world, plan_of):
    dataset = merlin_dataset(world.train_files, plan_of({"zebra": 23}, ("I1",)), "cpu")
    with pytest.raises(DataError, match=r"schema lacks \['C1', 'C10', 'C2', 'I10', 'I2', 'apple'"):
        MerlinLoader(dataset, world.architecture, 16, "cpu")
