"""The NVTabular engine: fit on the training split, encode every split, write the feature plan."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from plumbline.base.device import Device
from plumbline.base.merlin_imports import require_no_query_planner
from plumbline.columns.kinds import CLICK, FeatureKind
from plumbline.columns.parquet import read_columns
from plumbline.columns.rows import TRAIN, Rows
from plumbline.columns.typed import values_of
from plumbline.features.engine.encoded import (
    EtlResult,
    Part,
    emptied,
    encoded_schema,
    prepare,
)
from plumbline.features.engine.part_files import write_part
from plumbline.features.fitting.conditions import Conditions, require_kept
from plumbline.features.plan.plan import write_plan
from plumbline.features.steps.chains import Chain
from plumbline.nvtabular.cluster import Scheduler, scheduler
from plumbline.nvtabular.compile import compile_fitted, compile_unfitted, with_schema
from plumbline.nvtabular.fit_progress import FitProgress, passes_of
from plumbline.nvtabular.frames import FrameReader, write_encoded
from plumbline.nvtabular.library import Workflow, delayed
from plumbline.nvtabular.patched import patched, set_training
from plumbline.nvtabular.quiet import quiet


class NVTabularEngine:
    """NVTabular on pandas (`cpu`) or cuDF (`cuda`), in one process or on a Dask cluster.

    `scheduler` is None, "local", or the address of a Dask scheduler: see
    `plumbline.nvtabular.cluster`. The code for cuDF and the CUDA cluster has not run on a GPU yet.
    """

    def __init__(self, device: Device, scheduler: str | None) -> None:
        self._device: Device = device
        self._scheduler = scheduler

    def fit_transform(
        self,
        workflow: Workflow,
        kinds: Mapping[str, FeatureKind],
        splits: Mapping[str, Path],
        out: Path,
        progress: Callable[[int], None],
    ) -> EtlResult:
        """Fit on `splits["train"]`, encode every split.

        Parameters
        ----------
        workflow
            Not fitted, and not changed here. The engine runs a copy with patched operators
            (`plumbline.nvtabular.patched`), which keeps its files in a scratch folder. The workflow
            need not pass the click through.
        splits
            Split name to a folder of the ingest's `part-*.parquet` files, with the columns of
            `kinds` and the click.
        out
            The output folder: `plan/` and, for each split, `<split>/part-*.parquet`. A file has the
            plan's outputs in plan order (ids int32, or int64 if the cardinality needs it; the
            others float32), then the click as int8. Files and rows keep the order of the input.
            `plan/plan.json` is written last, so a folder that has it is complete.
        progress
            Called with the number of rows of every file that was read to fit, `passes_of` the
            workflow times, and of every file that has been encoded. Training rows that the graph's
            conditions leave out are not counted.

        Raises
        ------
        DataError
            A split without files, a training split without rows, a column that is missing or has
            another type, or statistics that are not finite.
        UnsupportedOperator
            The workflow has no compiled form. This is checked before anything is read.
        PlumblineError
            Dask's data frames were imported with the query planner.
        """
        require_no_query_planner()
        kinds = dict(kinds)
        # The workers of a running cluster have working directories of their own.
        splits, out = {split: folder.resolve() for split, folder in splits.items()}, out.resolve()
        conditions = compile_unfitted(workflow, kinds).conditions
        workflow = _with_click(workflow, kinds)
        parts = prepare(splits, kinds, out)
        scratch = emptied(out / "scratch")
        try:
            if conditions:
                parts[TRAIN] = _kept(parts[TRAIN], conditions, kinds, emptied(scratch / "train"))
            with quiet(), scheduler(self._device, self._scheduler, scratch) as runner:
                return self._run(workflow, kinds, parts, out, scratch, conditions, runner, progress)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def _run(
        self,
        unfitted: Workflow,
        kinds: Mapping[str, FeatureKind],
        parts: Mapping[str, Sequence[Part]],
        out: Path,
        scratch: Path,
        conditions: tuple[Chain, ...],
        runner: Scheduler,
        progress: Callable[[int], None],
    ) -> EtlResult:
        start = time.perf_counter()
        reader = FrameReader(kinds, self._device)
        # Workers keep what they read of these files by path, so a path is used once.
        workflow = patched(unfitted, scratch / f"learned-{uuid4().hex}")
        filled = {split: [p for p in of_split if p.rows] for split, of_split in parts.items()}
        starts = tuple(accumulate((part.rows for part in filled[TRAIN]), initial=0))
        set_training(workflow, False, starts)
        rows_of = {str(part.source): part.rows for part in filled[TRAIN]}
        fit = FitProgress(rows_of, passes_of(workflow), progress)
        telling = replace(reader, tell=runner.heard(fit.read))
        workflow.fit(telling.dataset([part.source for part in filled[TRAIN]]))
        fit.end()
        inputs, outputs = compile_fitted(workflow, kinds, out / "plan")
        fitted = time.perf_counter()
        schema = encoded_schema(outputs)
        rows = {}
        for split, of_split in parts.items():
            for part in of_split:
                if not part.rows:
                    write_part(schema.empty_table(), part.target)
            set_training(workflow, split == TRAIN, starts)
            rows[split] = runner.run(
                _encode(workflow, reader, schema, scratch, filled[split]), progress
            )
        plan = write_plan(out / "plan", inputs, outputs, conditions)
        return EtlResult(plan, rows, fitted - start, time.perf_counter() - fitted)


def _kept(
    parts: Sequence[Part], chains: Sequence[Chain], kinds: Mapping[str, FeatureKind], folder: Path
) -> list[Part]:
    """The parts without the training rows that the conditions leave out, in files of `folder`."""
    conditions = Conditions(chains)
    kept = []
    for part in parts:
        with pq.ParquetFile(part.source) as parquet:
            table = read_columns(parquet, [*kinds, CLICK])
        columns = {name: values_of(table[name]) for name in kinds}
        rows = Rows(columns, np.asarray(table[CLICK], dtype=np.int8))
        table = table.filter(pa.array(conditions.hold(rows)))
        pq.write_table(table, folder / part.source.name)
        kept.append(Part(folder / part.source.name, len(table), part.target))
    require_kept(sum(part.rows for part in kept))
    return kept


def _with_click(workflow: Workflow, kinds: Mapping[str, FeatureKind]) -> Workflow:
    """A patched copy that also passes the click through, for the encoded files."""
    copy = with_schema(workflow, kinds)
    if CLICK in copy.output_schema.column_names:
        return copy
    return Workflow(patched(copy).output_node + CLICK)


def _encode(
    workflow: Workflow, reader: FrameReader, schema: pa.Schema, scratch: Path, parts: Sequence[Part]
) -> list[Any]:
    """Delayed tasks that encode and write the parts; each returns its number of rows."""
    if not parts:
        return []
    frames = workflow.transform(reader.dataset([part.source for part in parts])).to_ddf()
    write = delayed(write_encoded)
    return [
        write(frame, part.target, schema, scratch)
        for frame, part in zip(frames.to_delayed(), parts, strict=True)
    ]
