"""The NVTabular engine: fit on the training split, encode every split, write the feature plan."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from dask import delayed

from features.columns import CLICK, FeatureKind
from features.device import Device
from features.errors import DataError
from features.plan import OutputColumn, Plan, write_plan
from features.settings import CriteoWorkflow, StandardWorkflow
from features.steps.categorify import FIRST_VOCABULARY_ID
from features.vocabulary import Vocabulary
from workflows.cluster import Scheduler, scheduler
from workflows.compile import compile_fitted
from workflows.frames import (
    CLICK_TYPE,
    FrameReader,
    arrow_schema,
    check_types,
    read_typed,
    write_encoded,
    write_table,
)
from workflows.graphs import build
from workflows.library import Workflow
from workflows.quiet import quiet

TRAIN = "train"


@dataclass(frozen=True, slots=True)
class EtlResult:
    """What an engine made: the plan, the rows of each split, and the seconds it took."""

    plan: Plan
    rows: dict[str, int]
    fit_seconds: float
    transform_seconds: float


@dataclass(frozen=True, slots=True)
class _Part:
    """A file of a split, its number of rows, and the file that it is encoded to."""

    source: Path
    rows: int
    target: Path


class NVTabularEngine:
    """NVTabular on pandas (`cpu`) or cuDF (`cuda`), in one process or on a Dask cluster.

    `scheduler` is None, "local", or the address of a Dask scheduler: see `workflows.cluster`. cuDF
    and the CUDA cluster are real code that has not run on a device yet.
    """

    def __init__(self, device: Device, scheduler: str | None) -> None:
        self._device: Device = device
        self._scheduler = scheduler

    def fit_transform(
        self,
        settings: CriteoWorkflow | StandardWorkflow,
        kinds: Mapping[str, FeatureKind],
        splits: Mapping[str, Path],
        out: Path,
        progress: Callable[[int], None],
    ) -> EtlResult:
        """Fit on `splits["train"]`, encode every split.

        Parameters
        ----------
        splits
            Split to a folder of the ingest's `part-*.parquet`, with the columns of `kinds` and the
            click.
        out
            Gets `plan/` and, for each split, `<split>/part-*.parquet`: the plan's outputs in plan
            order (ids int32, or int64 where the cardinality needs it; the others float32), then the
            click as int8. Files and rows keep the order of the input. `plan/plan.json` is written
            last, so what has it is complete.
        progress
            Called with a number of rows whenever so many more are encoded.

        Raises
        ------
        DataError
            A split without files, a training split without rows, a column that is missing, of
            another type, or all null in the training split, or statistics that are not finite.
        """
        kinds = dict(kinds)
        parts = {split: _parts(split, folder, out / split) for split, folder in splits.items()}
        _check(parts, kinds)
        for split in splits:
            _emptied(out / split)
        scratch = _emptied(out / "scratch")
        _emptied(out / "plan")
        try:
            with quiet(), scheduler(self._device, self._scheduler, scratch) as runner:
                return self._run(settings, kinds, parts, out, runner, progress)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def _run(
        self,
        settings: CriteoWorkflow | StandardWorkflow,
        kinds: Mapping[str, FeatureKind],
        parts: Mapping[str, Sequence[_Part]],
        out: Path,
        runner: Scheduler,
        progress: Callable[[int], None],
    ) -> EtlResult:
        start = time.perf_counter()
        reader = FrameReader(kinds, self._device)
        workflow = build(kinds, settings, out / "scratch" / "vocabulary")
        workflow.fit(reader.dataset([part.source for part in parts[TRAIN] if part.rows]))
        inputs, outputs, vocabularies = compile_fitted(workflow, kinds)
        fitted = time.perf_counter()
        schema = encoded_schema(outputs, vocabularies)
        rows = {
            split: _encode(workflow, reader, of_split, schema, runner, progress)
            for split, of_split in parts.items()
        }
        plan = write_plan(out / "plan", inputs, outputs, vocabularies)
        return EtlResult(plan, rows, fitted - start, time.perf_counter() - fitted)


def encoded_schema(
    outputs: Sequence[OutputColumn], vocabularies: Mapping[str, Vocabulary]
) -> pa.Schema:
    """The encoded files' columns: the plan's outputs, then the click."""
    limit = np.iinfo(np.int32).max
    fields = []
    for column in outputs:
        if not column.is_categorical:
            fields.append((column.name, pa.float32()))
        else:
            fits = FIRST_VOCABULARY_ID + len(vocabularies[column.name]) <= limit
            fields.append((column.name, pa.int32() if fits else pa.int64()))
    return pa.schema([*fields, (CLICK, CLICK_TYPE)])


def _encode(
    workflow: Workflow,
    reader: FrameReader,
    parts: Sequence[_Part],
    schema: pa.Schema,
    runner: Scheduler,
    progress: Callable[[int], None],
) -> int:
    for part in parts:
        if not part.rows:
            write_table(schema.empty_table(), part.target)
    filled = [part for part in parts if part.rows]
    if not filled:
        return 0
    frames = workflow.transform(reader.dataset([part.source for part in filled])).to_ddf()
    write = delayed(write_encoded)
    return runner.run(
        [
            write(frame, part.target, schema)
            for frame, part in zip(frames.to_delayed(), filled, strict=True)
        ],
        progress,
    )


def _parts(split: str, folder: Path, out: Path) -> list[_Part]:
    files = sorted(folder.glob("part-*.parquet"))
    if not files:
        raise DataError(
            f"{folder}: wanted files part-*.parquet of split {split!r}, found none. "
            "Run the ingest stage again."
        )
    return [_Part(file, pq.read_metadata(file).num_rows, out / file.name) for file in files]


def _check(parts: Mapping[str, Sequence[_Part]], kinds: Mapping[str, FeatureKind]) -> None:
    """Every file has its columns, and the training split a value in each of them."""
    schema = arrow_schema(kinds)
    for of_split in parts.values():
        for part in of_split:
            check_types(part.source, schema)
    if not any(part.rows for part in parts[TRAIN]):
        raise DataError(f"{parts[TRAIN][0].source.parent}: the training split has no rows.")
    unseen = list(kinds)
    for part in parts[TRAIN]:
        table = read_typed(part.source, pa.schema([schema.field(name) for name in unseen]))
        unseen = [name for name in unseen if not pc.count(table[name]).as_py()]
        if not unseen:
            return
    raise DataError(
        f"Column {unseen[0]!r} is null in every row of the training split, so there is "
        "nothing to fit. Declare its kind as unused."
    )


def _emptied(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
