"""The Spark engine: tasks read, count and encode the rows; the driver writes the plan.

It fits what the native engine fits, with the same accumulators, and encodes with the same encoder.
Chunks have the numbers that they have there, so folds and the order of the training rows are the
same, to the bit. Floats are in no sum of Spark's: see `plumbline.features.steps.cells`.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

from plumbline.columns.kinds import FeatureKind
from plumbline.columns.rows import TRAIN, RowSource
from plumbline.features.engine.encoded import EtlResult, emptied, encoded_schema, require_rows
from plumbline.features.engine.part_files import shuffled_parts, write_part
from plumbline.features.fitting.conditions import kept, require_kept
from plumbline.features.fitting.fit import Fitted, fit
from plumbline.features.fitting.kept import STATISTICS
from plumbline.features.plan.plan import write_plan
from plumbline.features.plan.unfitted import UnfittedPlan
from plumbline.spark.jobs import Jobs, Written
from plumbline.spark.tasks import EncodeChunks, PermuteParts, Place

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SCRATCH = "scratch"


@dataclass(frozen=True, slots=True)
class SparkEngine:
    """Fits and applies a plan on Spark; see `plumbline.features.engine.native_engine`."""

    plan: UnfittedPlan
    session: SparkSession

    def fit_transform(
        self,
        source: RowSource,
        out: Path,
        progress: Callable[[int], None],
        shuffle_seed: int | None = None,
        *,
        keep_statistics: bool = False,
    ) -> EtlResult:
        """As `NativeEngine.fit_transform`: the same plan, and the same rows in the same order.

        Parameters
        ----------
        source
            Its chunks are sent to tasks, so they must be readable without those before them.
        out
            In a file system that the workers see at the same place. A split that is not shuffled
            has a file for each chunk.
        progress
            Called with the number of rows of each pass and of each split.
        keep_statistics
            Whether `out/statistics` gets the statistics, of all values: the driver then collects
            those too that are too rare for the plan.

        Raises
        ------
        DataError, PlanError
            As in the native engine.
        PlumblineError
            Spark gave up, or its workers lack something.
        """
        require_rows(source.splits[TRAIN])
        source = kept(source, self.plan.conditions)
        out = out.absolute()
        statistics = out / STATISTICS if keep_statistics else None
        folders = [*source.splits, "plan", SCRATCH, *([STATISTICS] if keep_statistics else [])]
        for folder in folders:
            emptied(out / folder)
        place = Place(Path.cwd(), out / SCRATCH, uuid4().hex)
        try:
            return self._run(source, out, progress, shuffle_seed, place, statistics)
        finally:
            _remove(place)

    def _run(
        self,
        source: RowSource,
        out: Path,
        progress: Callable[[int], None],
        shuffle_seed: int | None,
        place: Place,
        statistics: Path | None,
    ) -> EtlResult:
        start = time.perf_counter()
        jobs = Jobs(self.session, place, keeps_all=statistics is not None)
        fitted = fit(self.plan, source, out / "plan", progress, statistics, one_pass=jobs.one_pass)
        fit_end = time.perf_counter()
        encode = _SplitEncoder(jobs, fitted, source.kinds, out)
        rows = {}
        for split in source.splits:
            seed = shuffle_seed if split == TRAIN else None
            rows[split] = encode(source, split, seed)
            progress(rows[split])
        require_kept(rows[TRAIN])
        plan = write_plan(out / "plan", self.plan.inputs, fitted.outputs, self.plan.conditions)
        return EtlResult(plan, rows, fit_end - start, time.perf_counter() - fit_end)


@dataclass(frozen=True, slots=True)
class _SplitEncoder:
    """Encodes the rows of a split into its files."""

    jobs: Jobs
    fitted: Fitted
    kinds: Mapping[str, FeatureKind]
    out: Path

    def __call__(self, source: RowSource, split: str, seed: int | None) -> int:
        """Returns the number of rows."""
        place, outputs = self.jobs.place, self.fitted.outputs
        chains = self.fitted.training if split == TRAIN else [one.chain for one in outputs]
        chunks = tuple(source.chunks(split))
        parts = shuffled_parts(source.splits[split])
        plan = self.out / "plan"
        task = EncodeChunks(place, split, chunks, outputs, chains, plan, self.kinds, parts, seed)
        files = encoded = self.jobs.written(len(chunks), task.__call__)
        if seed is not None and encoded:
            permute = PermuteParts(place, split, [one.file for one in encoded], seed)
            files = self.jobs.written(parts, permute.__call__)
            for one in encoded:
                one.file.unlink()
        self._take(split, files)
        return sum(one.rows for one in encoded)

    def _take(self, split: str, files: list[Written]) -> None:
        """Make the files those of the split."""
        folder = self.out / split
        for one in files:
            one.file.replace(folder / f"part-{one.number:05d}.parquet")
        if not files:
            schema = encoded_schema(self.fitted.outputs)
            write_part(schema.empty_table(), folder / "part-00000.parquet")


def _remove(place: Place) -> None:
    """Remove the scratch folder; an attempt that still runs finds it under no name."""
    gone = place.scratch.with_name(f"{SCRATCH}-{place.name}")
    place.scratch.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)
