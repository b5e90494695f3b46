"""The host's side of the loader for a GPU, without one: encoded Parquet to the ring of buffers.

Whole: files read, decoded, laid out row by row, mixed, and gathered into the ring, with a transfer
that copies nothing; beside the loader for a CPU, which gathers into new batches with int64 ids.
Gather: from a window in memory into a buffer, the last step alone; beside a copy of as many bytes.
Times of a core are those of all threads together, so reading ahead hides nothing. The time of the
clock is of the whole on all cores, beside nothing else.

A GPU that trains 10 million rows a second takes 1.6 GB/s, with int32 ids. Whether PCIe and a pinned
buffer deliver it is not measured here: no part of this ran on a device.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.harness import OURS, Benchmark, parser
from benchmarks.train_work import CARDINALITIES, kaggle, write_rows
from plumbline.dlrm.data.device_loader import DeviceLoader
from plumbline.dlrm.data.loader import Batch, DataLoader, Order
from plumbline.dlrm.data.parquet_loader import ParquetLoader

BATCH_SIZE = 65_536
ROW_BYTES = 26 * 4 + 13 * 4 + 4
GIGABYTES = 1.6
"""A second, of 10 million rows."""
CORES = 16
"""Of a machine with one large GPU."""


class NoTransfer:
    """Implements `Transfer` and `Sent`: plain memory, and no copies."""

    def __init__(self, batch: Batch | None = None) -> None:
        self._batch = batch

    def host(self, shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
        return torch.empty(shape, dtype=dtype)

    def send(self, batch: Batch) -> NoTransfer:
        return NoTransfer(batch)

    def wait(self) -> None:
        pass

    def receive(self) -> Batch:
        assert self._batch is not None
        return self._batch


def nanoseconds(work: Callable[[], int]) -> float:
    """Time of one core for a row; `work` returns the number of rows."""
    since = time.process_time()
    rows = work()
    return (time.process_time() - since) / rows * 1e9


def by_the_clock(work: Callable[[], int]) -> float:
    since = time.perf_counter()
    rows = work()
    return (time.perf_counter() - since) / rows * 1e9


def epoch(loader: DataLoader) -> Callable[[], int]:
    return lambda: sum(len(batch) for batch in loader.batches(Order(1, 0)))


def gathers(loader: ParquetLoader) -> tuple[Callable[[], int], Callable[[], int]]:
    """A batch gathered from the first window into one buffer, and copied from one to another."""
    piece = next(iter(loader.pieces(Order(1, 0), 0)))
    window, taken_B = piece.window, piece.taken_N
    rows = len(taken_B)
    first, second = (
        [
            np.zeros((rows, *values.shape[1:]), values.dtype)
            for values in (window.ids_BF, window.dense_BC, window.click_B)
        ]
        for _ in range(2)
    )

    def gather() -> int:
        window.gather(taken_B, *first)
        return rows

    def copy() -> int:
        for source, target in zip(first, second, strict=True):
            np.copyto(target, source)
        return rows

    return gather, copy


def main() -> None:
    options = parser(__doc__).parse_args()
    benchmark = Benchmark("gpu_loader")
    rows = 150_000 if options.quick else 2_000_000
    repeats = 2 if options.quick else 7
    architecture = kaggle(CARDINALITIES)
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"part-{number}.parquet" for number in range(8)]
        for number, file in enumerate(files):
            write_rows(file, architecture, rows // len(files), seed=number)
        loader = ParquetLoader(files, architecture, BATCH_SIZE)
        sides = {OURS: epoch(DeviceLoader(loader, NoTransfer())), "loader for a CPU": epoch(loader)}
        whole = benchmark.run(
            "whole",
            "ns of a core, a row",
            {side: lambda work=work: nanoseconds(work) for side, work in sides.items()},
            repeats,
        )
        clock = benchmark.run(
            "whole",
            "ns by the clock, a row",
            {side: lambda work=work: by_the_clock(work) for side, work in sides.items()},
            repeats,
        )
        gather, copy = gathers(loader)
        alone = benchmark.run(
            "gather",
            "ns of a core, a row",
            {OURS: lambda: nanoseconds(gather), "copy": lambda: nanoseconds(copy)},
            5 * repeats,
        )
    ns, gather_ns = whole.median(OURS), alone.median(OURS)
    benchmark.notes.append(
        f"A core reads {1e3 / ns:.2f} million rows/s into the ring, {ROW_BYTES / ns:.2f} GB/s. "
        f"All cores read {1e3 / clock.median(OURS):.2f} million rows/s. "
        f"From a window a core gathers {1e3 / gather_ns:.2f} million rows/s, "
        f"{ROW_BYTES / gather_ns:.2f} GB/s."
    )
    benchmark.at_least("gather: GB/s into the ring, one core", ROW_BYTES / gather_ns, GIGABYTES)
    benchmark.at_most("whole: cores for 10 million rows/s", ns / 100, CORES)
    benchmark.report(options.json)


if __name__ == "__main__":
    main()
