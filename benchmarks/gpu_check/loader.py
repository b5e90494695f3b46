"""The loader for a GPU: the CPU loader's batches, to the bit, and how fast they arrive."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import torch

from benchmarks.gpu_check.place import Place
from benchmarks.gpu_check.report import Report
from benchmarks.gpu_check.training import architecture, draw_batch
from benchmarks.harness import OURS
from plumbline.dlrm.data.device_loader import DeviceLoader
from plumbline.dlrm.data.loader import Batch, Order
from plumbline.dlrm.data.parquet_loader import ParquetLoader
from plumbline.dlrm.data.transfer import CudaTransfer, tensors_of
from plumbline.dlrm.model.architecture import Architecture
from tests.dlrm.data.late_transfer import LateTransfer

COLUMNS, SMALL_COLUMNS = 26, 3
FILES = 4
ROWS, SMALL_ROWS = 400_000, 300
"""Of each file."""
BATCH, SMALL_BATCH = 65_536, 128


def check(place: Place, report: Report) -> None:
    """Two epochs, the second as fast as it goes."""
    small = place.is_small
    columns, rows = (SMALL_COLUMNS, SMALL_ROWS) if small else (COLUMNS, ROWS)
    model = architecture([1000] * columns, 8, (16,), (16,), lists=1)
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"part-{number}.parquet" for number in range(FILES)]
        for number, file in enumerate(files):
            _write(file, model, draw_batch(model, rows, number, "cpu"))
        on_cpu = ParquetLoader(files, model, SMALL_BATCH if small else BATCH)
        transfer = LateTransfer() if place.is_emulated else CudaTransfer()
        ours = DeviceLoader(on_cpu, transfer)
        for got, wanted in zip(ours.batches(Order(1, 0)), on_cpu.batches(Order(1, 0)), strict=True):
            for one, other in zip(tensors_of(got), tensors_of(wanted), strict=True):
                assert one.device.type == place.device, f"a batch is on {one.device}"
                assert torch.equal(one.cpu(), other), "a batch differs from that of the CPU"
            report.checked()
        start = time.perf_counter()
        for _ in ours.batches(Order(1, 1)):
            pass
        place.wait()
        seconds = time.perf_counter() - start
    report.case(f"epoch of {rows * FILES:,} rows", "s", {OURS: [seconds]})
    report.note(f"{rows * FILES / seconds / 1e6:.3g} M rows/s arrive on the device.")


def _write(file: Path, model: Architecture, batch: Batch) -> None:
    """The rows as the stage etl writes them: int32 ids and float32 numbers."""
    ids = dict(zip(model.single, batch.ids_BF.unbind(1), strict=True))
    numbers = dict(zip(model.continuous, batch.dense_BC.unbind(1), strict=True))
    columns = {name: pa.array(drawn.numpy(), pa.int32()) for name, drawn in ids.items()}
    for name, (ids_N, offsets_B1) in zip(model.bags, batch.bags, strict=True):
        offsets = pa.array(offsets_B1.numpy(), pa.int32())
        values = pa.array(ids_N.numpy(), pa.int32())
        columns[name] = pa.ListArray.from_arrays(offsets, values)
    columns |= {name: pa.array(values.numpy()) for name, values in numbers.items()}
    columns["click"] = pa.array(batch.click_B.numpy(), pa.int8())
    pq.write_table(pa.table(columns), file)
