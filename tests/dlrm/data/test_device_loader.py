"""The device loader: the CPU loader's batches to the bit, a ring that is not written too early, and
32-bit ids on the way; test_loader.py has the contract of all loaders."""

from __future__ import annotations

from dataclasses import replace
from threading import Barrier

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch

from plumbline.base.errors import DataError
from plumbline.dlrm.data import device_loader, row_order
from plumbline.dlrm.data.device_loader import BUFFERS, DeviceLoader
from plumbline.dlrm.data.encoded_rows import EncodedColumns
from plumbline.dlrm.data.loader import Batch, Order
from plumbline.dlrm.data.parquet_loader import ParquetLoader
from plumbline.dlrm.data.transfer import CudaTransfer, Transfer, tensors_of
from plumbline.settings.configuration import load_config
from plumbline.stages import train
from plumbline.stages.run import DEFAULT_CONFIG, Run
from tests.dlrm.data.late_transfer import LateSent, LateTransfer


def both(data, transfer: Transfer, batch_size: int, order: Order | None) -> list[list[Batch]]:
    loader = ParquetLoader(data.train_files, data.architecture, batch_size)
    return [list(DeviceLoader(loader, transfer).batches(order)), list(loader.batches(order))]


def are_equal(one: Batch, other: Batch) -> bool:
    pairs = zip(tensors_of(one), tensors_of(other), strict=True)
    return all(a.dtype == b.dtype and torch.equal(a.cpu(), b) for a, b in pairs)


@pytest.mark.parametrize("batch_size", [1, 50, 301, 5000])
@pytest.mark.parametrize("order", [None, Order(3, 1)], ids=["in order", "mixed"])
@pytest.mark.parametrize("slice_rows", [47, 32_768])
def test_batches_are_those_of_the_cpu_loader(
    world, list_world, monkeypatch, batch_size, order, slice_rows
):
    monkeypatch.setattr(row_order, "SLICE_ROWS", slice_rows)
    for data in (world, list_world):
        got, wanted = both(data, LateTransfer(), batch_size, order)
        assert len(got) == len(wanted)
        assert all(map(are_equal, got, wanted))


def test_slices_are_decoded_in_several_threads(world, monkeypatch):
    """Each waits for another one."""
    both_are_here = Barrier(2, timeout=60)
    fill = EncodedColumns.fill

    def waiting(*arguments):
        both_are_here.wait()
        return fill(*arguments)

    monkeypatch.setattr(device_loader, "DECODING", 2)
    monkeypatch.setattr(EncodedColumns, "fill", waiting)
    files = world.train_files[:2]
    loader = ParquetLoader(files, world.architecture, 64)
    got = [*DeviceLoader(loader, LateTransfer()).batches(Order(1, 0))]
    assert sum(map(len, got)) == 551


@pytest.mark.parametrize("waits", [True, False])
def test_a_buffer_is_written_only_after_its_copy(world, monkeypatch, waits):
    """Without the wait the batches are wrong, so the transfer of the tests notices it."""
    if not waits:
        monkeypatch.setattr(LateSent, "wait", lambda sent: None)
    loader = ParquetLoader(world.train_files, world.architecture, 16)
    sent = list(DeviceLoader(loader, LateTransfer())._sent(None, 0))  # all, before one is received
    assert len(sent) > BUFFERS
    pairs = zip([each.receive() for each in sent], loader.batches(), strict=True)
    assert all(are_equal(*pair) for pair in pairs) == waits


def test_host_memory_is_allocated_once_a_buffer(world):
    transfer = LateTransfer()
    got, _ = both(world, transfer, 16, None)
    assert len(got) == 73
    assert transfer.allocated == [(16, 5), (16, 3), (16,)] * BUFFERS


def test_ids_are_sent_in_the_width_of_the_files(world, list_world):
    narrow, wide = LateTransfer(), LateTransfer()
    both(list_world, narrow, 100, None)
    assert narrow.sent == [[torch.int32] * 3] * 7
    valid = replace(list_world, train_files=list_world.valid_files)
    both(valid, wide, 100, None)
    assert wide.sent == [[torch.int64] * 3] * 3


def test_ids_keep_their_64_bits(list_world, tmp_path):
    table = pq.read_table(list_world.valid_files[0]).slice(0, 2)
    table = table.drop_columns(["C2", "tags"])
    table = table.append_column("C2", pa.array([2**40, -(2**63)], pa.int64()))
    table = table.append_column("tags", pa.array([[2**41], []], pa.list_(pa.int64())))
    pq.write_table(table, tmp_path / "x.parquet")
    loader = ParquetLoader([tmp_path / "x.parquet"], list_world.architecture, 2)
    (batch,) = DeviceLoader(loader, LateTransfer()).batches()
    assert batch.ids_BF[:, 1].tolist() == [2**40, -(2**63)]
    ids_N, offsets_B1 = batch.bags[0]
    assert (ids_N.tolist(), offsets_B1.tolist()) == ([2**41], [0, 1, 1])


def test_an_error_of_the_reading_thread_comes_after_the_batches_before_it(
    world, tmp_path, monkeypatch
):
    monkeypatch.setattr(row_order, "SLICE_ROWS", 50)
    table = pq.read_table(world.train_files[0])
    nulls = pa.array([None, *table["C2"].to_pylist()[1:]], pa.int64())
    pq.write_table(table.drop_columns(["C2"]).append_column("C2", nulls), tmp_path / "x.parquet")
    files = [world.train_files[0], tmp_path / "x.parquet"]
    loader = DeviceLoader(ParquetLoader(files, world.architecture, 64), LateTransfer())
    before = 0
    with pytest.raises(DataError, match=r"x\.parquet: column 'C2': wanted int64 without nulls"):
        for batch in loader.batches():
            before += len(batch)
    assert before == 256


@pytest.mark.parametrize(
    ("device", "engine_device", "made"),
    [("cpu", "cpu", ParquetLoader), ("cuda", "cpu", DeviceLoader)],
)
def test_the_stage_takes_the_loader_of_its_device(world, device, engine_device, made):
    run = Run(load_config(DEFAULT_CONFIG), (), "native", "fused", device, None, engine_device)
    loader = train.loader_of(run, world.plan, world.architecture, world.train_files, 64)
    assert type(loader) is made


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("order", [None, Order(3, 1)], ids=["in order", "mixed"])
def test_on_a_device(world, list_world, order):
    for data in (world, list_world):
        got, wanted = both(data, CudaTransfer(), 50, order)
        assert all(tensor.is_cuda for batch in got for tensor in tensors_of(batch))
        assert all(map(are_equal, got, wanted))
