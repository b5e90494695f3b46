"""Score and judge encoded Parquet files, in row order.

Legend: B rows.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from plumbline.columns.kinds import CLICK
from plumbline.columns.parquet import read_batches
from plumbline.columns.values import Lists
from plumbline.dlrm.data.encoded_rows import check_columns, readable
from plumbline.dlrm.data.parquet_loader import ParquetLoader
from plumbline.dlrm.errors import ModelError
from plumbline.dlrm.metrics.click_metrics import ClickMetrics
from plumbline.dlrm.metrics.metrics import Metrics, check_clicks
from plumbline.dlrm.model.architecture import Architecture
from plumbline.dlrm.score.scorer import Scorer

BATCH_SIZE = 8192

BLOCK_ROWS = 2**18
"""Values of one column in memory at a time."""


class RowScorer(Protocol):
    """The DLRM, or another model of the same columns."""

    def score(
        self, ids_BF: NDArray[np.int64], dense_BC: NDArray[np.float32], bags: Sequence[Lists]
    ) -> NDArray[np.float32]:
        """probability_B."""
        ...


Scored: TypeAlias = tuple[NDArray[np.float32], NDArray[np.float32]]
"""click_B and probability_B of the same rows."""


def evaluate(
    scorer: Scorer,
    files: Sequence[Path],
    batch_size: int = BATCH_SIZE,
    progress: Callable[[int], None] | None = None,
    every: int = 1,
) -> Metrics:
    """Metrics of the files' clicks; raises as `scored`, and DataError if they are undefined."""
    metrics = ClickMetrics()
    with closing(scored(scorer, files, batch_size, every)) as blocks:
        for click_B, probability_B in blocks:
            metrics.add(click_B, probability_B)
            if progress is not None:
                progress(len(click_B))
    return metrics.result()


def scored(
    scorer: Scorer, files: Sequence[Path], batch_size: int = BATCH_SIZE, every: int = 1
) -> Generator[Scored, None, None]:
    """The rows of all files, in file order, one batch at a time; raises as `scored_by` does.

    One in `every` batches is scored, starting with the first; the others are skipped.
    """
    with closing(scored_by([scorer], scorer.architecture, files, batch_size, every)) as blocks:
        for click_B, (probability_B,) in blocks:
            yield click_B, probability_B


def scored_by(
    scorers: Sequence[RowScorer],
    architecture: Architecture,
    files: Sequence[Path],
    batch_size: int = BATCH_SIZE,
    every: int = 1,
) -> Generator[tuple[NDArray[np.float32], list[NDArray[np.float32]]], None, None]:
    """click_B, and every scorer's probability_B of the same rows, read once; see `scored`.

    Raises
    ------
    DataError
        A file lacks a column, or a column has nulls or a type other than the plan's.
    ModelError
        An id is out of range, or a probability is NaN because the weights have overflowed.
    """
    loader = ParquetLoader(files, architecture, batch_size)
    with closing(loader.batches()) as batches:
        for number, batch in islice(enumerate(batches), 0, None, every):
            bags = [Lists(ids_N.numpy(), offsets_B1.numpy()) for ids_N, offsets_B1 in batch.bags]
            ids_BF, dense_BC = batch.ids_BF.numpy(), batch.dense_BC.numpy()
            probabilities = [scorer.score(ids_BF, dense_BC, bags) for scorer in scorers]
            for probability_B in probabilities:
                if np.isnan(probability_B).any():
                    row = int(np.argmax(np.isnan(probability_B)))
                    raise _no_score(number * batch_size + row, dense_BC[row], architecture)
            yield batch.click_B.numpy(), probabilities


def _no_score(row: int, dense_C: NDArray[np.float32], architecture: Architecture) -> ModelError:
    if not len(dense_C):
        return ModelError.no_score(row, None)
    column = int(np.argmax(np.nan_to_num(np.abs(dense_C), nan=np.inf)))
    return ModelError.no_score(row, (architecture.continuous[column], float(dense_C[column])))


def clicks_of(files: Sequence[Path]) -> tuple[int, int]:
    """Number of clicks and of rows; raises DataError for clicks other than 0 and 1."""
    clicks = rows = 0
    for click_B in column_blocks(files, CLICK):
        check_clicks(click_B)
        clicks += int(click_B.sum())
        rows += len(click_B)
    return clicks, rows


def column_blocks(
    files: Sequence[Path], name: str, rows: int = BLOCK_ROWS
) -> Iterator[NDArray[Any]]:
    """A column of numbers in file order, `rows` at a time; the last block may be smaller.

    Raises
    ------
    DataError
        A file lacks the column or is not readable.
    """
    held: list[NDArray[Any]] = []
    missing = rows
    for file in files:
        with readable(file), pq.ParquetFile(file) as parquet:
            check_columns(file, parquet.schema_arrow, [name])
            for part in read_batches(parquet, rows, [name]):
                values = part.column(name).to_numpy(zero_copy_only=False)
                while len(values):
                    held.append(values[:missing])
                    missing -= len(held[-1])
                    values = values[len(held[-1]) :]
                    if not missing:
                        yield np.concatenate(held)
                        held, missing = [], rows
    if held:
        yield np.concatenate(held)
