"""The native engine: fits a plan on one machine and encodes every split, larger than memory.

It reads rows chunk by chunk from typed Parquet or raw logs. Fitting reads the training rows once,
or more often if a fitted step needs another's result. Encoding reads every split once. Both hold a
few chunks and the vocabularies in memory. Native code fits the plan, and encodes chunks with
`plumbline.features.encoding.encoder`, as the server does. Polars only writes the encoded columns as
compressed Parquet.
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
from numpy.typing import NDArray

from plumbline.base.read_ahead import THREADS, read_ahead
from plumbline.columns.kinds import FeatureKind
from plumbline.columns.rows import TRAIN, Chunk, RowSource
from plumbline.features.encoding.encoder import Encoded, Encoder
from plumbline.features.encoding.request import positions_of_columns, request_of_columns
from plumbline.features.engine.encoded import (
    EtlResult,
    emptied,
    encoded_schema,
    fits_int32,
    require_rows,
)
from plumbline.features.engine.part_files import OrderedParts, PartWriter, ShuffledParts
from plumbline.features.fitting.conditions import kept, require_kept
from plumbline.features.fitting.fit import fit, training_columns, training_kinds
from plumbline.features.lookup.tables import Tables
from plumbline.features.plan.plan import OutputColumn, write_plan
from plumbline.features.plan.unfitted import UnfittedPlan


@dataclass(frozen=True, slots=True)
class NativeEngine:
    """Fits and applies a plan; the counterpart of `plumbline.nvtabular.engine.NVTabularEngine`."""

    plan: UnfittedPlan

    def fit_transform(
        self,
        source: RowSource,
        out: Path,
        progress: Callable[[int], None],
        shuffle_seed: int | None = None,
    ) -> EtlResult:
        """Fit on the split `train`, and encode every split into `out`.

        Parameters
        ----------
        out
            The folder for `plan/` and, for each split, `<split>/part-*.parquet`, as in
            `NVTabularEngine.fit_transform`. `plan/plan.json` is written last, so a folder that has
            it is complete.
        progress
            Called with the number of rows of each chunk, after it was read to fit or to encode.
            Training rows that the plan's conditions leave out are not counted.
        shuffle_seed
            If given, the training rows are shuffled by this seed. Other splits keep their order.

        Raises
        ------
        DataError
            There are no training rows, rows cannot be read, or a statistic is not finite.
        PlanError
            A step of the plan does not accept the type of its input.
        """
        require_rows(source.splits[TRAIN])
        source = kept(source, self.plan.conditions)
        for folder in (*source.splits, "plan"):
            emptied(out / folder)
        start = time.perf_counter()
        fitted = fit(self.plan, source, out / "plan", progress)
        fit_end = time.perf_counter()
        encode = _SplitEncoder(fitted.outputs, source.kinds, out, progress)
        tables = Tables(out / "plan")
        chains = [output.chain for output in fitted.outputs]
        kinds = training_kinds(source.kinds)
        positions = positions_of_columns(source.kinds)
        rows = {}
        for split in source.splits:
            of_split = fitted.training if split == TRAIN else chains
            encoder = Encoder(fitted.outputs, of_split, tables, kinds, positions)
            seed = shuffle_seed if split == TRAIN else None
            rows[split] = encode(source, split, encoder, seed)
        require_kept(rows[TRAIN])
        plan = write_plan(out / "plan", self.plan.inputs, fitted.outputs, self.plan.conditions)
        return EtlResult(plan, rows, fit_end - start, time.perf_counter() - fit_end)


class _SplitEncoder:
    """Encodes the rows of a split and writes its files."""

    def __init__(
        self,
        outputs: Sequence[OutputColumn],
        kinds: Mapping[str, FeatureKind],
        out: Path,
        progress: Callable[[int], None],
    ) -> None:
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
        for number, chunk in enumerate(source.chunks(split)):
            yield partial(self._encode, chunk, number, split == TRAIN, encoder)

    def _encode(self, chunk: Chunk, number: int, is_training: bool, encoder: Encoder) -> pa.Table:
        rows = chunk()
        columns = training_columns(rows, number) if is_training else rows.columns
        request = request_of_columns(rows.columns, self._kinds)
        encoded = encoder.encode(request, columns, len(rows.click), self._ids_dtype)
        return _table(encoded, rows.click, self._schema)


def _table(encoded: Encoded, click_B: NDArray[np.int8], schema: pa.Schema) -> pa.Table:
    """Encoded rows as a table of the files' schema."""
    ids, bags, dense = iter(encoded.ids_BF.T), iter(encoded.bags), iter(encoded.dense_BC.T)
    columns = []
    for type_ in schema.types[:-1]:
        if pa.types.is_large_list(type_):
            bag = next(bags)
            values = pa.array(np.asarray(bag.values), type_.value_type)
            columns.append(pa.LargeListArray.from_arrays(pa.array(bag.offsets), values))
        else:
            values_B = next(ids if pa.types.is_integer(type_) else dense)
            columns.append(pa.array(values_B.astype(type_.to_pandas_dtype(), copy=False)))
    return pa.table([*columns, pa.array(click_B)], schema=schema)
