"""The native engine: fits a plan on one machine and encodes every split, larger than memory.

It reads rows chunk by chunk from typed Parquet or raw logs. Fitting reads the training rows once,
or more often if a fitted step needs another's result. Encoding reads every split once. Both hold a
few chunks and the vocabularies in memory. Native code fits the plan, and encodes chunks with
`plumbline.features.encoding.encoder`, as the server does. Polars only writes the encoded columns as
compressed Parquet.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pyarrow as pa

from plumbline.base.read_ahead import THREADS, read_ahead
from plumbline.columns.rows import TRAIN, RowSource
from plumbline.features.engine.chunk_encoder import ChunkEncoder
from plumbline.features.engine.encoded import EtlResult, emptied, encoded_schema, require_rows
from plumbline.features.engine.part_files import OrderedParts, PartWriter, ShuffledParts
from plumbline.features.fitting.appending import Earlier
from plumbline.features.fitting.conditions import kept, require_kept
from plumbline.features.fitting.fit import fit
from plumbline.features.fitting.kept import STATISTICS
from plumbline.features.lookup.tables import Tables
from plumbline.features.plan.plan import OutputColumn, Plan, read_plan, write_plan
from plumbline.features.plan.unfitted import UnfittedPlan
from plumbline.features.steps.chains import Chain


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
        *,
        keep_statistics: bool = False,
        earlier: Earlier | None = None,
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
        keep_statistics
            Whether `out/statistics` gets the statistics, for a later run that goes on from them.
        earlier
            The plan and the statistics that this fit goes on from; see `fit`.

        Raises
        ------
        DataError
            There are no training rows, rows cannot be read, or a statistic is not finite.
        PlanError
            A step of the plan does not accept the type of its input.
        """
        require_rows(source.splits[TRAIN])
        source = kept(source, self.plan.conditions)
        folders = [*source.splits, "plan", *([STATISTICS] if keep_statistics else [])]
        for folder in folders:
            emptied(out / folder)
        start = time.perf_counter()
        statistics = out / STATISTICS if keep_statistics else None
        fitted = fit(self.plan, source, out / "plan", progress, statistics, earlier)
        fit_end = time.perf_counter()
        rows = _encode_splits(fitted.outputs, fitted.training, source, out, progress, shuffle_seed)
        plan = write_plan(out / "plan", self.plan.inputs, fitted.outputs, self.plan.conditions)
        seconds = fit_end - start, time.perf_counter() - fit_end
        return EtlResult(plan, rows, *seconds, left_out=dict(fitted.left_out))

    def learn_statistics(
        self, source: RowSource, out: Path, progress: Callable[[int], None]
    ) -> None:
        """Write `out/statistics`, of the rows that another engine has fitted this plan on.

        It learns what `fit_transform` learns, in passes of its own, and writes no plan.
        """
        scratch = emptied(out / "scratch")
        emptied(out / STATISTICS)
        fit(self.plan, kept(source, self.plan.conditions), scratch, progress, out / STATISTICS)
        shutil.rmtree(scratch)


def transform(
    plan: Plan,
    source: RowSource,
    out: Path,
    progress: Callable[[int], None],
    shuffle_seed: int | None = None,
) -> EtlResult:
    """Encode every split by a fitted plan, of which `out/plan` is a copy; see `fit_transform`.

    The training rows are encoded as served rows are: the plan has not learned from them.
    """
    require_rows(source.splits[TRAIN])
    source = kept(source, plan.conditions)
    for folder in source.splits:
        emptied(out / folder)
    start = time.perf_counter()
    shutil.rmtree(out / "plan", ignore_errors=True)
    shutil.copytree(plan.folder, out / "plan")
    copy = read_plan(out / "plan")
    chains = [output.chain for output in copy.outputs]
    rows = _encode_splits(copy.outputs, chains, source, out, progress, shuffle_seed)
    return EtlResult(copy, rows, 0.0, time.perf_counter() - start)


def _encode_splits(
    outputs: Sequence[OutputColumn],
    training: Sequence[Chain],
    source: RowSource,
    out: Path,
    progress: Callable[[int], None],
    shuffle_seed: int | None,
) -> dict[str, int]:
    """Encode the splits by the files in `out/plan`; returns the number of rows of each."""
    schema, tables = encoded_schema(outputs), Tables(out / "plan")
    write = _SplitWriter(schema, out, progress)
    chains = [output.chain for output in outputs]
    rows = {}
    for split in source.splits:
        is_training = split == TRAIN
        of_split = training if is_training else chains
        encoder = ChunkEncoder(outputs, of_split, tables, source.kinds, is_training)
        rows[split] = write(source, split, encoder, shuffle_seed if is_training else None)
    require_kept(rows[TRAIN])
    return rows


@dataclass(frozen=True, slots=True)
class _SplitWriter:
    """Encodes the rows of a split and writes its files."""

    schema: pa.Schema
    out: Path
    progress: Callable[[int], None]

    def __call__(
        self, source: RowSource, split: str, encoder: ChunkEncoder, seed: int | None
    ) -> int:
        """Returns the number of rows."""
        rows = 0
        chunks = enumerate(source.chunks(split))
        work = (partial(encoder.encode, chunk, number) for number, chunk in chunks)
        with ThreadPoolExecutor(THREADS) as pool, self._parts(source, split, pool, seed) as parts:
            for table in read_ahead(pool, work, THREADS):
                parts.write(table)
                rows += len(table)
                self.progress(len(table))
        return rows

    def _parts(
        self, source: RowSource, split: str, pool: ThreadPoolExecutor, seed: int | None
    ) -> PartWriter:
        folder = self.out / split
        if seed is None:
            return OrderedParts(folder, self.schema, pool)
        return ShuffledParts(folder, self.schema, pool, seed, source.splits[split])
