"""Every row once an epoch, in an order that seed and epoch decide and nothing else does."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from dlrm import loader
from dlrm.loader import Order, batches
from features.errors import DataError
from workflows.merlin_data import merlin_dataset


@pytest.fixture(params=[1, 2, 100], ids=lambda n: f"chunks of {n}")
def chunk_size(request, monkeypatch):
    monkeypatch.setattr(loader, "PARTITIONS_PER_CHUNK", request.param)


def read(world, order: Order | None, batch_size: int = 64, skip: int = 0, files=None):
    dataset = merlin_dataset(files or world.train_files, world.plan, "cpu")
    return list(batches(dataset, world.architecture, batch_size, "cpu", order, skip))


def rows(found) -> np.ndarray:
    """All rows as one table of float64: ids, floats, click."""
    parts = [
        torch.cat([b.ids_BF.double(), b.dense_BC.double(), b.click_B.double()[:, None]], dim=1)
        for b in found
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


@pytest.mark.usefixtures("chunk_size")
def test_every_row_once_with_its_own_values(world):
    found = read(world, Order(seed=1, epoch=0))
    wanted = written(world, world.train_files)
    came = rows(found)
    assert len(came) == len(wanted)
    assert as_set(came) == as_set(wanted)
    assert [len(batch) for batch in found[:-1]] == [64] * (len(found) - 1)
    assert found[0].ids_BF.dtype == torch.int64
    assert found[0].dense_BC.dtype == found[0].click_B.dtype == torch.float32


def test_without_an_order_rows_come_as_written(world):
    assert np.array_equal(rows(read(world, None)), written(world, world.train_files))


@pytest.mark.usefixtures("chunk_size")
def test_seed_and_epoch_decide_the_order(world):
    one = rows(read(world, Order(1, 0)))
    np.random.seed(99)  # the global state plays no part
    random.seed(99)
    torch.manual_seed(99)
    assert np.array_equal(one, rows(read(world, Order(1, 0))))
    for other in (Order(1, 1), Order(2, 0)):
        assert not np.array_equal(one, rows(read(world, other)))


def test_files_change_places_between_epochs(world, monkeypatch):
    monkeypatch.setattr(loader, "PARTITIONS_PER_CHUNK", 1)
    sizes = {tuple(written(world, [file])[0]): file.name for file in world.train_files[:2]}
    owner = {row: file.name for file in world.train_files for row in as_set(written(world, [file]))}
    assert len(sizes) == 2
    first = {owner[tuple(rows(read(world, Order(1, epoch)))[0])] for epoch in range(12)}
    assert len(first) > 1


def test_rows_of_different_files_are_mixed_in_a_batch(world):
    owner = {row: file.name for file in world.train_files for row in as_set(written(world, [file]))}
    first = rows(read(world, Order(1, 0)))[:64]
    assert len({owner[tuple(row)] for row in first}) > 1


def test_global_random_states_are_not_touched(world):
    numpy_before, torch_before = np.random.get_state()[1].copy(), torch.random.get_rng_state()
    python_before = random.getstate()
    read(world, Order(1, 0))
    assert np.array_equal(numpy_before, np.random.get_state()[1])
    assert torch.equal(torch_before, torch.random.get_rng_state())
    assert python_before == random.getstate()


@pytest.mark.parametrize("skip", [1, 7, 1000])
def test_an_epoch_is_taken_up_where_it_was_left(world, skip):
    whole = read(world, Order(1, 0))
    rest = read(world, Order(1, 0), skip=skip)
    assert len(rest) == max(0, len(whole) - skip)
    if rest:
        assert np.array_equal(rows(rest), rows(whole[skip:]))


@pytest.mark.parametrize("batch_size", [1, 301, 1155, 5000])
def test_any_batch_size(world, batch_size):
    files = world.train_files if batch_size > 1 else world.train_files[2:4]
    came = rows(read(world, Order(1, 0), batch_size, files=files))
    assert as_set(came) == as_set(written(world, files))


def test_no_rows_is_no_batches_and_does_not_wait(world):
    assert read(world, Order(1, 0), files=[world.train_files[3]]) == []


def test_leaving_early_ends_the_reading_thread(world):
    import threading

    before = threading.active_count()
    dataset = merlin_dataset(world.train_files, world.plan, "cpu")
    feed = batches(dataset, world.architecture, 16, "cpu", Order(1, 0))
    next(feed)
    feed.close()
    assert threading.active_count() == before


def test_other_columns_are_refused(world, plan_of):
    dataset = merlin_dataset(world.train_files, plan_of({"zebra": 23}, ("I1",)), "cpu")
    with pytest.raises(DataError, match=r"schema lacks \['C1', 'C10', 'C2', 'I10', 'I2', 'apple'"):
        list(batches(dataset, world.architecture, 16, "cpu"))


def with_lists(found) -> list[tuple[object, ...]]:
    """Every row: its ids, its lists, its float and its click."""
    rows_found = []
    for batch in found:
        lists = [
            [ids_N[a:b].tolist() for a, b in pairwise(offsets_B1.tolist())]
            for ids_N, offsets_B1 in batch.bags
        ]
        assert all(ids.dtype == ends.dtype == torch.int64 for ids, ends in batch.bags)
        assert all(ends[0] == 0 and ends[-1] == len(ids) for ids, ends in batch.bags)
        columns = (batch.ids_BF.tolist(), *lists, batch.dense_BC.tolist(), batch.click_B.tolist())
        rows_found += [*zip(*columns, strict=True)]
    return rows_found


@pytest.mark.usefixtures("chunk_size")
@pytest.mark.parametrize("batch_size", [1, 7, 64, 1000])
def test_lists_stay_with_their_rows(list_world, batch_size):
    table = pa.concat_tables([pq.read_table(file) for file in list_world.train_files])
    wanted = [
        ([r["zebra"], r["C2"]], r["tags"], r["apple"], [r["I1"]], float(r["click"]))
        for r in table.to_pylist()
    ]
    files = list_world.train_files if batch_size > 1 else list_world.train_files[2:4]
    wanted = wanted if batch_size > 1 else wanted[551:552]
    in_order = with_lists(read(list_world, None, batch_size, files=files))
    assert in_order == wanted
    mixed = with_lists(read(list_world, Order(1, 0), batch_size, files=files))
    assert sorted(mixed) == sorted(wanted)
    assert len(wanted) == 1 or mixed != wanted


def test_an_epoch_of_lists_is_taken_up_where_it_was_left(list_world):
    whole = with_lists(read(list_world, Order(1, 0)))
    assert with_lists(read(list_world, Order(1, 0), skip=3)) == whole[3 * 64 :]
