"""Spark jobs: passes over the training rows, and files that tasks write."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc

from plumbline.columns.kinds import FeatureKind
from plumbline.columns.rows import TRAIN, Rows, RowSource
from plumbline.columns.typed import typed_schema, values_of
from plumbline.features.fitting.fit import Reading, training_columns
from plumbline.features.lookup.tables import Tables
from plumbline.features.steps.cells import ANY_BIT, CELLS, LARGEST, LEAST, SUM, no_cells
from plumbline.features.steps.fit_step import Accumulator
from plumbline.spark.errors import task_errors
from plumbline.spark.tasks import READ_CELLS, WRITTEN, Batches, CountChunks, KeepTables, Place

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

CHUNKS_PER_TASK = 8
"""The most; a task that is lost is done again."""

TASKS_PER_CORE = 4

_SQL_TYPES = {
    pa.int8(): "byte",
    pa.int32(): "int",
    pa.int64(): "long",
    pa.string(): "string",
    pa.binary(): "binary",
}
_MERGED = (
    f"CASE operation WHEN {SUM} THEN sum(value) WHEN {LEAST} THEN min(value) "
    f"WHEN {LARGEST} THEN max(value) WHEN {ANY_BIT} THEN bit_or(value) END AS value"
)


@dataclass(frozen=True, slots=True)
class Written:
    """A file that a task wrote: the number it was for, and the rows it holds."""

    number: int
    file: Path
    rows: int


@dataclass(frozen=True, slots=True)
class Jobs:
    """Runs tasks in a session."""

    session: SparkSession
    place: Place
    keeps_all: bool = False
    """Whether a pass also gives the counts that are too small for the plan's steps."""

    def written(self, count: int, task: Callable[[Batches], Batches]) -> list[Written]:
        """The files that the tasks write for the numbers below `count`, in the numbers' order.

        Raises
        ------
        PlumblineError
            See `plumbline.spark.errors.task_errors`.
        """
        with task_errors():
            frame = self._numbers(count).mapInArrow(task, _sql(WRITTEN))
            return sorted(self._collected(frame), key=lambda written: written.number)

    def one_pass(
        self,
        source: RowSource,
        readings: Sequence[Reading],
        folder: Path,
        progress: Callable[[int], None],
    ) -> list[Accumulator]:
        """See `plumbline.features.fitting.fit.Pass`: tasks read, and Spark merges their cells."""
        chunks = tuple(source.chunks(TRAIN))
        count = CountChunks(self.place, chunks, readings, folder)
        with task_errors():
            frame = self._numbers(len(chunks)).mapInArrow(count.__call__, _sql(READ_CELLS))
            merged = _merged(frame).filter(_large_enough(readings))
            kept = merged.mapInArrow(KeepTables(self.place).__call__, _sql(WRITTEN))
            files = [written.file for written in self._collected(kept)]
        tables = Tables(folder)
        readers = [reading.reader(tables) for reading in readings]
        for reader in readers:  # so that what has no cells has the types of its keys
            reader.read(0, training_columns(_no_rows(source.kinds), 0))
        cells = _by_reading(files)
        read = sum(cells.pop(len(readers), no_cells())["value"].to_pylist())
        for index, of_reading in cells.items():
            readers[index].accumulator.add_cells(of_reading)
        progress(read)
        return [reader.accumulator for reader in readers]

    def _numbers(self, count: int) -> DataFrame:
        cores = self.session.sparkContext.defaultParallelism
        tasks = max(min(count, TASKS_PER_CORE * cores), -(-count // CHUNKS_PER_TASK), 1)
        return self.session.range(0, count, 1, tasks)

    def _collected(self, frame: DataFrame) -> list[Written]:
        return [
            Written(row.number, self.place.scratch / row.file, row.rows) for row in frame.collect()
        ]


def _sql(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name} {_SQL_TYPES[field.type]}" for field in schema)


def _merged(frame: DataFrame) -> DataFrame:
    """Cells of one place as one. Only integers and keys are grouped and merged."""
    from pyspark.sql.functions import expr

    place = [name for name in READ_CELLS.names if name != "value"]
    return frame.groupBy(*place).agg(expr(_MERGED)).select(*READ_CELLS.names)


def _large_enough(readings: Sequence[Reading]) -> str:
    """The condition of cells that a fitted step reads."""
    too_small = [
        f"(reading = {index} AND part = {part} AND value < {least})"
        for index, reading in enumerate(readings)
        for part, least in enumerate(reading.step.least_counts)
        if least > 1
    ]
    return f"NOT ({' OR '.join(too_small)})" if too_small else "true"


def _by_reading(files: Sequence[Path]) -> dict[int, pa.Table]:
    """The cells of each reading in all files."""
    found: dict[int, list[pa.Table]] = {}
    for file in files:
        with pa.OSFile(str(file), "rb") as source:
            table = pa.ipc.open_stream(source).read_all()
        reading = table["reading"]
        cells = table.select(CELLS.names).cast(CELLS)
        for index in pc.unique(reading).to_pylist():
            found.setdefault(index, []).append(cells.filter(pc.equal(reading, index)))
    return {index: pa.concat_tables(tables) for index, tables in found.items()}


def _no_rows(kinds: Mapping[str, FeatureKind]) -> Rows:
    table = typed_schema(kinds).empty_table()
    columns: dict[str, Any] = {name: values_of(table[name]) for name in kinds}
    return Rows(columns, np.empty(0, np.int8))
