"""Writers of a split's encoded files: in row order, or shuffled by a seed."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor, Future
from functools import partial
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Protocol

import numpy as np
import pyarrow as pa
import pyarrow.ipc

from plumbline.base.read_ahead import THREADS
from plumbline.columns.from_arrow import frame_from_arrow
from plumbline.features.engine.encoded import emptied

ROWS_PER_PART = 500_000

MAX_SHUFFLED_PARTS = 512
"""The most files that a shuffle holds open; a larger split gets larger parts."""


def write_part(table: pa.Table, file: Path, partial_file: Path | None = None) -> None:
    """Write a part atomically, compressed with Zstandard at level 1, pyarrow's default.

    It has no column statistics. They would take a quarter of the time, and a data loader reads
    every row anyway. `partial_file` is where it is written before it is renamed; by default, it is
    beside the file. Writers of the same file need different ones.
    """
    if partial_file is None:
        partial_file = file.with_name(file.name + ".partial")
    frame_from_arrow(table).write_parquet(
        partial_file, compression="zstd", compression_level=1, statistics=False
    )
    partial_file.replace(file)


def shuffled_parts(rows: int, rows_per_part: int = ROWS_PER_PART) -> int:
    """The number of files of a shuffled split."""
    return min(max(1, -(-rows // rows_per_part)), MAX_SHUFFLED_PARTS)


def dealt(table: pa.Table, number: int, parts: int, seed: int) -> list[pa.Table]:
    """The rows of a split's table `number` for each part, drawn by the seed."""
    part_B = np.random.default_rng([seed, 0, number]).integers(0, parts, len(table))
    order = np.argsort(part_B, kind="stable")
    bounds = np.searchsorted(part_B[order], np.arange(parts + 1)).tolist()
    ordered = table.take(pa.array(order)).combine_chunks()
    return [ordered.slice(start, end - start) for start, end in pairwise(bounds)]


def permuted(table: pa.Table, part: int, seed: int) -> pa.Table:
    """The rows of a part, which are in the order of the tables, in an order drawn by the seed."""
    order = np.random.default_rng([seed, 1, part]).permutation(len(table))
    return table.take(pa.array(order))


class PartWriter(Protocol):
    """Writes the tables of a split in turn; the files are complete when the block ends."""

    def write(self, table: pa.Table) -> None: ...

    def __enter__(self) -> PartWriter: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


class _Jobs:
    """Runs the writing of files in a pool, as many at a time as there are threads."""

    def __init__(self, pool: Executor) -> None:
        self._pool = pool
        self._running: list[Future[None]] = []

    def submit(self, job: Callable[[], None]) -> None:
        while len(self._running) >= THREADS:
            self._running.pop(0).result()
        self._running.append(self._pool.submit(job))

    def finish(self) -> None:
        while self._running:
            self._running.pop(0).result()


class OrderedParts:
    """Writes `part-00000.parquet` and so on in row order, with `rows_per_part` rows each."""

    def __init__(
        self, folder: Path, schema: pa.Schema, pool: Executor, rows_per_part: int = ROWS_PER_PART
    ) -> None:
        self._folder = folder
        self._jobs = _Jobs(pool)
        self._rows_per_part = rows_per_part
        self._held = [schema.empty_table()]
        self._parts = 0

    def write(self, table: pa.Table) -> None:
        self._held.append(table)
        while sum(map(len, self._held)) >= self._rows_per_part:
            held = pa.concat_tables(self._held)
            self._submit(held.slice(0, self._rows_per_part))
            self._held = [held.slice(self._rows_per_part)]

    def __enter__(self) -> OrderedParts:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            rest = pa.concat_tables(self._held)
            if len(rest) or not self._parts:  # a split without rows gets an empty file
                self._submit(rest)
        self._jobs.finish()

    def _submit(self, table: pa.Table) -> None:
        file = self._folder / f"part-{self._parts:05d}.parquet"
        self._parts += 1
        self._jobs.submit(partial(write_part, table, file))


class ShuffledParts:
    """Shuffles all rows of a split, which may be larger than memory.

    Each row goes to a random part, stored uncompressed in a temporary file; then the rows of each
    part are permuted. So all orders of the rows are equally likely. The order depends on the seed
    and on how the rows are divided into tables.
    """

    def __init__(
        self,
        folder: Path,
        schema: pa.Schema,
        pool: Executor,
        seed: int,
        rows: int,
        rows_per_part: int = ROWS_PER_PART,
    ) -> None:
        self._folder = folder
        self._schema = schema
        self._pool = pool
        self._seed = seed
        self._parts = shuffled_parts(rows, rows_per_part)
        self._tables = 0
        self._waiting = emptied(folder / "waiting")
        files = [self._waiting / f"{part:05d}.arrow" for part in range(self._parts)]
        self._sinks = [pa.OSFile(str(file), "wb") for file in files]
        self._writers = [pa.ipc.new_stream(sink, schema) for sink in self._sinks]

    def write(self, table: pa.Table) -> None:
        tables = dealt(table, self._tables, self._parts, self._seed)
        self._tables += 1
        for writer, of_part in zip(self._writers, tables, strict=True):
            if len(of_part):
                writer.write_table(of_part)

    def __enter__(self) -> ShuffledParts:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        for writer, sink in zip(self._writers, self._sinks, strict=True):
            writer.close()
            sink.close()
        if kind is None:
            jobs = _Jobs(self._pool)
            for part in range(self._parts):
                jobs.submit(partial(self._permute, part))
            jobs.finish()
        emptied(self._waiting).rmdir()

    def _permute(self, part: int) -> None:
        waiting = self._waiting / f"{part:05d}.arrow"
        with pa.OSFile(str(waiting), "rb") as source:
            table = pa.ipc.open_stream(source).read_all()
        waiting.unlink()
        file = self._folder / f"part-{part:05d}.parquet"
        write_part(permuted(table, part, self._seed), file)
