"""Score and judge encoded Parquet files, in row order.

Legend: B rows, F columns with one id a row, C continuous columns.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from dlrm.metrics import Metrics, click_metrics
from dlrm.scorer import Scorer
from features.columns import CLICK
from features.errors import DataError
from features.values import Lists, offsets_of

BATCH_SIZE = 8192

ENCODED_AS = {
    pa.int64(): (pa.int64(), pa.int32()),
    pa.float32(): (pa.float32(),),
    pa.list_(pa.int64()): (
        pa.list_(pa.int64()),
        pa.list_(pa.int32()),
        pa.large_list(pa.int64()),
        pa.large_list(pa.int32()),
    ),
}
"""Types of the files that are read as one: ids are written as narrow as they fit."""


def evaluate(
    scorer: Scorer,
    files: Sequence[Path],
    batch_size: int = BATCH_SIZE,
    progress: Callable[[int], None] | None = None,
) -> tuple[Metrics, NDArray[np.float32]]:
    """Metrics of the files' clicks, and probability_B in row order; see `score_files`."""
    click_B = read_clicks(files)
    probability_B = score_files(scorer, files, batch_size, progress)
    return click_metrics(click_B, probability_B), probability_B


def score_files(
    scorer: Scorer,
    files: Sequence[Path],
    batch_size: int = BATCH_SIZE,
    progress: Callable[[int], None] | None = None,
) -> NDArray[np.float32]:
    """probability_B of all rows, file after file; `progress` is told the rows of each batch.

    Raises
    ------
    DataError
        A file lacks a column, or a column has nulls or another type than the plan gives.
    ModelError
        An id that the model does not have.
    """
    architecture = scorer.architecture
    names = [*architecture.categorical, *architecture.continuous]
    scored = [np.empty(0, np.float32)]
    for file in files:
        with pq.ParquetFile(file) as parquet:
            _check_columns(file, parquet.schema_arrow, names)
            for batch in parquet.iter_batches(batch_size, columns=names):
                ids_BF = _together(file, batch, architecture.single, pa.int64())
                dense_BC = _together(file, batch, architecture.continuous, pa.float32())
                bags = [_lists(file, batch, name) for name in architecture.bags]
                scored.append(scorer.score(ids_BF, dense_BC, bags))
                if progress is not None:
                    progress(len(batch))
    return np.concatenate(scored)


def read_clicks(files: Sequence[Path]) -> NDArray[np.float64]:
    """click_B of all rows, file after file; raises DataError where a file has no such column."""
    clicks = [np.empty(0, np.float64)]
    for file in files:
        with pq.ParquetFile(file) as parquet:
            _check_columns(file, parquet.schema_arrow, [CLICK])
            clicks.append(np.asarray(parquet.read([CLICK])[CLICK], np.float64))
    return np.concatenate(clicks)


def _check_columns(file: Path, schema: pa.Schema, names: Sequence[str]) -> None:
    missing = [name for name in names if name not in schema.names]
    if missing:
        raise DataError(
            f"{file}: wanted the encoded columns of the model, but {', '.join(missing)} "
            "is missing. Run the etl stage again."
        )


def _together(
    file: Path, batch: pa.RecordBatch, names: Sequence[str], type_: pa.DataType
) -> NDArray[Any]:
    """The named columns side by side, (B, number of names)."""
    together = np.empty((len(batch), len(names)), type_.to_pandas_dtype())
    for position, name in enumerate(names):
        together[:, position] = _column(file, batch, name, type_).to_numpy()
    return together


def _lists(file: Path, batch: pa.RecordBatch, name: str) -> Lists:
    column = _column(file, batch, name, pa.list_(pa.int64()))
    ids = pc.list_flatten(column)
    _require_whole(file, name, "lists of int64", ids)
    lengths = np.asarray(pc.list_value_length(column), np.int64)
    return Lists(np.asarray(ids, np.int64), offsets_of(lengths))


def _column(file: Path, batch: pa.RecordBatch, name: str, type_: pa.DataType) -> pa.Array:
    column = batch.column(name)
    wanted = "lists of int64" if pa.types.is_list(type_) else str(type_)
    if column.type not in ENCODED_AS[type_]:
        raise DataError(_does_not_fit(file, name, wanted, column))
    _require_whole(file, name, wanted, column)
    return column


def _require_whole(file: Path, name: str, wanted: str, values: pa.Array) -> None:
    if values.null_count:
        raise DataError(_does_not_fit(file, name, wanted, values))


def _does_not_fit(file: Path, name: str, wanted: str, came: pa.Array) -> str:
    return (
        f"{file}: column {name!r}: wanted {wanted} without nulls, got {came.type} with "
        f"{came.null_count} nulls. Run the etl stage again."
    )
