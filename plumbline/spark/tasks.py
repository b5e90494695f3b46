"""What Spark's tasks do; each task takes numbers, of chunks or of parts, and gives a small table.

A task may run twice, and an attempt that Spark gave up may still run. So an attempt writes files of
its own names into the scratch folder, and the driver takes the files that the results name.

Legend: B rows, F columns of ids, C columns of numbers.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.ipc

from plumbline.base.errors import MachineError
from plumbline.columns.kinds import FeatureKind
from plumbline.columns.rows import TRAIN, Chunk
from plumbline.features.engine.chunk_encoder import ChunkEncoder
from plumbline.features.engine.part_files import dealt, permuted, write_part
from plumbline.features.fitting.fit import Reading, training_columns
from plumbline.features.lookup.tables import Tables
from plumbline.features.plan.plan import OutputColumn
from plumbline.features.statistics.fields import COUNT
from plumbline.features.steps.cells import CELLS, SUM, cells
from plumbline.features.steps.chains import Chain
from plumbline.spark.errors import told

READ_CELLS = pa.schema(
    [
        pa.field("reading", pa.int32()),
        *(CELLS.field(n) if n != "text" else pa.field(n, pa.binary()) for n in CELLS.names),
    ]
)
"""Cells as Spark takes them, and the index of the reading that they are of.

The index after the last is that of the number of rows that were read.
"""
WRITTEN = pa.schema([("number", pa.int64()), ("file", pa.string()), ("rows", pa.int64())])
"""The files that tasks wrote, in the scratch folder, and what each holds."""

_BATCH_ROWS = 1 << 16

Batches = Iterator[pa.RecordBatch]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Place:
    """Where the tasks of an engine work.

    `folder` is the driver's working directory, to which names of files are relative, `scratch` the
    folder of what tasks write, and `name` is the engine's alone.
    """

    folder: Path
    scratch: Path
    name: str

    @contextmanager
    def work(self) -> Iterator[None]:
        """A task's work: in the driver's folder, with errors that the driver understands.

        Raises
        ------
        TaskError
            See `plumbline.spark.errors.told`; also if the worker does not have the folders.
        """
        with told(self.scratch):
            for folder in (self.folder, self.scratch):
                if not folder.is_dir():
                    raise MachineError(
                        f"{folder}: missing on a Spark worker. The driver and the workers have to "
                        "see the run and its data in the same folders, on a shared file system."
                    )
            os.chdir(self.folder)
            yield

    def file(self, name: str) -> Path:
        """The file of this attempt of the running task."""
        from pyspark import TaskContext

        context = TaskContext.get()
        attempt = "alone" if context is None else context.taskAttemptId()
        return self.scratch / f"{name}-{attempt}"


@dataclass(frozen=True, slots=True)
class CountChunks:
    """Reads chunks of the training rows; gives the cells of all readings."""

    place: Place
    chunks: Sequence[Chunk]
    readings: Sequence[Reading]
    plan: Path

    def __call__(self, batches: Batches) -> Batches:
        with self.place.work():
            tables = Tables(self.plan)
            readers = [reading.reader(tables) for reading in self.readings]
            read = 0
            for number in numbers_in(batches):
                rows = self.chunks[number]()
                columns = training_columns(rows, number)
                for reader in readers:
                    reader.read(number, columns)
                read += len(rows)
            for index, reader in enumerate(readers):
                yield from _read_cells(index, reader.accumulator.cells())
            yield from _read_cells(len(readers), cells(None, [(COUNT, SUM, np.array([read]))]))


@dataclass(frozen=True, slots=True)
class KeepTables:
    """Writes the batches into a file; gives its name."""

    place: Place

    def __call__(self, batches: Batches) -> Batches:
        with self.place.work():
            first = next(batches, None)
            if first is None:
                return
            file, rows = self.place.file("cells"), first.num_rows
            with (
                pa.OSFile(str(file), "wb") as sink,
                pa.ipc.new_stream(sink, first.schema) as stream,
            ):
                stream.write_batch(first)
                for batch in batches:
                    stream.write_batch(batch)
                    rows += batch.num_rows
            yield written(0, file, rows)


@dataclass(frozen=True, slots=True)
class EncodeChunks:
    """Encodes chunks of a split, each into a file.

    With a seed, the file holds a batch for each of the `parts` of the shuffled split; without one,
    it is a part.
    """

    place: Place
    split: str
    chunks: Sequence[Chunk]
    outputs: Sequence[OutputColumn]
    chains: Sequence[Chain]
    plan: Path
    kinds: Mapping[str, FeatureKind]
    parts: int
    seed: int | None

    def __call__(self, batches: Batches) -> Batches:
        with self.place.work():
            encoder = _once((self.place.name, self.split), self._encoder)
            for number in numbers_in(batches):
                table = encoder.encode(self.chunks[number], number)
                file = self.place.file(f"{self.split}-{number}")
                if self.seed is None:
                    write_part(table, file)
                else:
                    _write_batches(dealt(table, number, self.parts, self.seed), file)
                yield written(number, file, len(table))

    def _encoder(self) -> ChunkEncoder:
        tables = Tables(self.plan)
        return ChunkEncoder(self.outputs, self.chains, tables, self.kinds, self.split == TRAIN)


@dataclass(frozen=True, slots=True)
class PermuteParts:
    """Writes parts of a shuffled split from the files of its chunks, which are in their order."""

    place: Place
    split: str
    files: Sequence[Path]
    seed: int

    def __call__(self, batches: Batches) -> Batches:
        with self.place.work():
            for part in numbers_in(batches):
                table = pa.Table.from_batches([_read_batch(file, part) for file in self.files])
                file = self.place.file(f"{self.split}-part-{part}")
                write_part(permuted(table, part, self.seed), file)
                yield written(part, file, len(table))


def numbers_in(batches: Batches) -> Iterator[int]:
    for batch in batches:
        yield from batch.column(0).to_pylist()


def _read_cells(reading: int, table: pa.Table) -> Batches:
    """Cells in batches, as Spark takes them."""
    for start in range(0, len(table), _BATCH_ROWS):
        slice_ = table.slice(start, _BATCH_ROWS)
        column = pa.array(np.full(len(slice_), reading, np.int32))
        yield _batch(slice_.add_column(0, READ_CELLS.field(0), column).cast(READ_CELLS))


def _batch(table: pa.Table) -> pa.RecordBatch:
    columns = [column.combine_chunks() for column in table.columns]
    return pa.RecordBatch.from_arrays(columns, schema=table.schema)


def _write_batches(tables: Iterable[pa.Table], file: Path) -> None:
    """Write a batch of each table, one or more."""
    batches = [_batch(table) for table in tables]
    with pa.OSFile(str(file), "wb") as sink, pa.ipc.new_file(sink, batches[0].schema) as writer:
        for batch in batches:
            writer.write_batch(batch)


def _read_batch(file: Path, index: int) -> pa.RecordBatch:
    with pa.OSFile(str(file), "rb") as source:
        return pa.ipc.open_file(source).get_batch(index)


def written(number: int, file: Path, rows: int) -> pa.RecordBatch:
    columns = [[number], [file.name], [rows]]
    return pa.RecordBatch.from_arrays(
        [pa.array(*one) for one in zip(columns, WRITTEN.types, strict=True)], schema=WRITTEN
    )


_LAST: dict[object, Any] = {}
"""The last thing that `_once` made. Spark runs many tasks in a process, one after the other."""


def _once(key: object, make: Callable[[], T]) -> T:
    """What `make` makes, made once for the tasks of a process that ask by this key in a row."""
    if key not in _LAST:
        _LAST.clear()
        _LAST[key] = make()
    found: T = _LAST[key]
    return found
