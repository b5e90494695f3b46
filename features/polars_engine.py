"""The Polars engine: fits a plan on one machine and encodes every split, larger than memory.

Rows come portion by portion from typed Parquet or raw logs. Fitting reads the training rows once
(more often where a fitted step needs another's result), and encoding reads every split once; both
hold a few portions at a time, and the vocabularies. A portion is encoded by `features.encoder`, the
code that the server runs, and Polars compresses and writes the files.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa

from features import requests
from features.columns import FeatureKind
from features.encoded import (
    TRAIN,
    EtlResult,
    emptied,
    encoded_schema,
    encoded_table,
    fits_int32,
    require_rows,
)
from features.encoder import Encoder
from features.fitting.fit import fit, training_columns
from features.part_files import OrderedParts, PartWriter, ShuffledParts
from features.plan import OutputColumn, write_plan
from features.reading import THREADS, read_ahead
from features.rows import Portion, RowSource
from features.tables import Tables
from features.unfitted import UnfittedPlan


@dataclass(frozen=True, slots=True)
class PolarsEngine:
    """Runs an unfitted plan; the counterpart of `workflows.engine.NVTabularEngine`."""

    plan: UnfittedPlan

    def fit_transform(
        self,
        source: RowSource,
        out: Path,
        progress: Callable[[int], None],
        shuffle_seed: int | None = None,
    ) -> EtlResult:
        """Fit on the split `train`, encode every split into `out`.

        Parameters
        ----------
        out
            Gets `plan/` and, for each split, `<split>/part-*.parquet`, as from
            `NVTabularEngine.fit_transform`. `plan/plan.json` is written last, so what has it is
            complete.
        progress
            Called with a number of rows whenever so many more are read, to fit or to encode.
        shuffle_seed
            Where given, the rows of the training files are shuffled by it; all others keep their
            order.

        Raises
        ------
        DataError
            No training rows, rows that cannot be read, or statistics that are not finite.
        PlanError
            A step of the plan cannot take what comes to it.
        """
        require_rows(source.splits[TRAIN])
        for folder in (*source.splits, "plan"):
            emptied(out / folder)
        start = time.perf_counter()
        fitted = fit(self.plan, source, out / "plan", progress)
        fit_end = time.perf_counter()
        encode = _SplitEncoder(fitted.outputs, source.kinds, out, progress)
        tables = Tables(out / "plan")
        chains = [output.chain for output in fitted.outputs]
        rows = {}
        for split in source.splits:
            of_split = fitted.training if split == TRAIN else chains
            places = requests.places_of_columns(source.kinds)
            encoder = Encoder(fitted.outputs, of_split, tables, places)
            seed = shuffle_seed if split == TRAIN else None
            rows[split] = encode(source, split, encoder, seed)
        plan = write_plan(out / "plan", self.plan.inputs, fitted.outputs)
        return EtlResult(plan, rows, fit_end - start, time.perf_counter() - fit_end)


class _SplitEncoder:
    """Encodes the rows of a split into its files."""

    def __init__(
        self,
        outputs: Sequence[OutputColumn],
        kinds: Mapping[str, FeatureKind],
        out: Path,
        progress: Callable[[int], None],
    ) -> None:
        self._outputs = outputs
        self._kinds = kinds
        self._out = out
        self._progress = progress
        self._schema = encoded_schema(outputs)
        narrow = all(fits_int32(column) for column in outputs if column.is_categorical)
        self._ids_dtype = np.int32 if narrow else np.int64

    def __call__(self, source: RowSource, split: str, encoder: Encoder, seed: int | None) -> int:
        """Returns the number of rows."""
        rows = 0
        with ThreadPoolExecutor(THREADS) as pool, self._writer(source, split, pool, seed) as writer:
            for table in read_ahead(pool, self._work(source, split, encoder), THREADS):
                writer.write(table)
                rows += len(table)
                self._progress(len(table))
        return rows

    def _writer(
        self, source: RowSource, split: str, pool: ThreadPoolExecutor, seed: int | None
    ) -> PartWriter:
        folder = self._out / split
        if seed is None:
            return OrderedParts(folder, self._schema, pool)
        return ShuffledParts(folder, self._schema, pool, seed, source.splits[split])

    def _work(
        self, source: RowSource, split: str, encoder: Encoder
    ) -> Iterator[Callable[[], pa.Table]]:
        for number, portion in enumerate(source.portions(split)):
            yield partial(self._encode, portion, number, split == TRAIN, encoder)

    def _encode(
        self, portion: Portion, number: int, is_training: bool, encoder: Encoder
    ) -> pa.Table:
        rows = portion()
        columns = training_columns(rows, number) if is_training else rows.columns
        request = requests.of_columns(rows.columns, self._kinds)
        encoded = encoder.encode(request, columns, len(rows), self._ids_dtype)
        return encoded_table(encoded, rows.click, self._outputs, self._schema)
