"""The Polars engine: fits a plan on one machine and encodes every split.

Fitting is one streaming pass over the training files for the vocabularies, and one for each
`Normalize` of a chain (the graphs have one). Encoding reads, looks up and writes two files at a
time, so memory is bounded by the two largest and the vocabularies.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import singledispatch
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa

from features.columns import CLICK, FeatureKind
from features.encoded import (
    TRAIN,
    EtlResult,
    Part,
    encoded_schema,
    prepare,
)
from features.errors import DataError
from features.plan import OutputColumn, write_plan
from features.steps import Categorify, Clip, FillMissing, FloatStep, Log, Normalize
from features.steps.categorify import FIRST_VOCABULARY_ID, NULL_ID, OUT_OF_VOCABULARY_ID
from features.typed import read_typed, typed_schema
from features.unfitted import FitCategorify, FitNormalize, UnfittedColumn, UnfittedPlan
from features.vocabulary import Vocabulary
from features.wire import NULL_INT64

PARTS_AT_A_TIME = 2
"""Files being encoded at once: while one is compressed and written, the next is looked up."""


@dataclass(frozen=True, slots=True)
class PolarsEngine:
    """Runs an unfitted plan; the counterpart of `workflows.engine.NVTabularEngine`."""

    plan: UnfittedPlan

    def fit_transform(
        self,
        kinds: Mapping[str, FeatureKind],
        splits: Mapping[str, Path],
        out: Path,
        progress: Callable[[int], None],
    ) -> EtlResult:
        """Fit on `splits["train"]`, encode every split into `out`.

        Folders, files, columns and row order are those of `NVTabularEngine.fit_transform`.

        Raises
        ------
        DataError
            See `features.encoded.prepare`; or statistics that are not finite.
        """
        parts = prepare(splits, dict(kinds), out)
        start = time.perf_counter()
        typed = pl.scan_parquet([part.source for part in parts[TRAIN]])
        vocabularies = _fit_vocabularies(self.plan, typed, kinds)
        outputs = tuple(_fit_floats(self.plan, typed))
        fitted = time.perf_counter()
        encode = _Encoder(outputs, vocabularies, kinds)
        rows = {split: encode.split(of_split, progress) for split, of_split in parts.items()}
        plan = write_plan(out / "plan", self.plan.inputs, outputs, vocabularies)
        return EtlResult(plan, rows, fitted - start, time.perf_counter() - fitted)


def _number(source: str) -> pl.Expr:
    """A continuous column as Float64, null where it is missing."""
    return pl.col(source).cast(pl.Float64).fill_nan(None)


def _null_mark(kind: FeatureKind) -> pl.Expr:
    """The wire's mark of a null, which is a null in files too."""
    return pl.lit("") if kind == "string" else pl.lit(NULL_INT64, pl.Int64)


def _fit_vocabularies(
    plan: UnfittedPlan, typed: pl.LazyFrame, kinds: Mapping[str, FeatureKind]
) -> dict[str, Vocabulary]:
    """By count descending, on ties by value ascending, from the values seen often enough."""
    thresholds = {
        column.name: (column.source, step.frequency_threshold)
        for column in plan.outputs
        for step in column.steps
        if isinstance(step, FitCategorify)
    }
    counted = [
        typed.select(pl.col(source).alias("value"))
        .filter(pl.col("value") != _null_mark(kinds[source]))  # drops nulls, too
        .group_by("value")
        .agg(pl.len().cast(pl.Int64).alias("count"))
        .filter(pl.col("count") >= threshold)
        .sort("count", "value", descending=[True, False])
        for source, threshold in thresholds.values()
    ]
    frames = pl.collect_all(counted, engine="streaming") if counted else []
    return {
        name: _vocabulary(frame, kinds[source])
        for (name, (source, _)), frame in zip(thresholds.items(), frames, strict=True)
    }


def _vocabulary(frame: pl.DataFrame, kind: FeatureKind) -> Vocabulary:
    type_ = pa.string() if kind == "string" else pa.int64()
    table = frame.to_arrow().cast(pa.schema([("value", type_), ("count", pa.int64())]))
    ids = pa.array(np.arange(len(table), dtype=np.int64) + FIRST_VOCABULARY_ID)
    return Vocabulary(table["value"].combine_chunks(), ids, table["count"].combine_chunks())


def _fit_floats(plan: UnfittedPlan, typed: pl.LazyFrame) -> list[OutputColumn]:
    """Every output with its steps; a chain's unfitted steps are fitted from the left."""
    chains = {column.name: list(column.steps) for column in plan.outputs}
    while waiting := [
        column
        for column in plan.outputs
        if any(isinstance(step, FitNormalize) for step in chains[column.name])
    ]:
        firsts = {column.name: _first_unfitted(chains[column.name]) for column in waiting}
        values = [
            _apply(_number(column.source), chains[column.name][: firsts[column.name]])
            for column in waiting
        ]
        named = [value.alias(c.name) for value, c in zip(values, waiting, strict=True)]
        statistics = (
            typed.select(named)
            .select(pl.all().mean().name.prefix("mean "), pl.all().std().name.prefix("deviation "))
            .collect(engine="streaming")
        )
        for column in waiting:
            mean = statistics[f"mean {column.name}"][0]
            deviation = statistics[f"deviation {column.name}"][0]
            chains[column.name][firsts[column.name]] = _normalize(column, mean, deviation)
    return [
        OutputColumn(column.name, column.source, tuple(map(_fitted, chains[column.name])))
        for column in plan.outputs
    ]


def _first_unfitted(steps: Sequence[object]) -> int:
    return next(place for place, step in enumerate(steps) if isinstance(step, FitNormalize))


def _normalize(column: UnfittedColumn, mean: float | None, deviation: float | None) -> Normalize:
    # The deviation of a single row is null: the column is only centred, as in NVTabular.
    if mean is None or not math.isfinite(mean) or (deviation is not None and math.isinf(deviation)):
        raise DataError(
            f"Column {column.source!r}: its mean in the training split is {mean}, its deviation "
            f"{deviation}, and no number can be normalized by them. Clip the column, or remove the "
            "infinite values from the log."
        )
    return Normalize(mean, deviation if deviation is not None and deviation > 0 else 0.0)


def _fitted(step: object) -> Categorify | FloatStep:
    if isinstance(step, FitCategorify):
        return Categorify(step.frequency_threshold, cardinality=0, vocabulary="", sha256="")
    if isinstance(step, FloatStep):
        return step
    raise TypeError(f"{type(step).__name__} is not fitted")


class _Encoder:
    """Encodes typed files with the fitted columns."""

    def __init__(
        self,
        outputs: Sequence[OutputColumn],
        vocabularies: Mapping[str, Vocabulary],
        kinds: Mapping[str, FeatureKind],
    ) -> None:
        self._schema = encoded_schema(outputs, vocabularies)
        self._typed_schema = typed_schema(kinds)
        self._columns = [
            _ids(column, vocabularies[column.name], self._schema.field(column.name).type)
            if column.is_categorical
            else _floats(column)
            for column in outputs
        ]

    def split(self, parts: Sequence[Part], progress: Callable[[int], None]) -> int:
        with ThreadPoolExecutor(PARTS_AT_A_TIME) as pool:
            for part, _ in zip(parts, pool.map(self._encode, parts), strict=True):
                progress(part.rows)
        return sum(part.rows for part in parts)

    def _encode(self, part: Part) -> None:
        typed = pl.from_arrow(read_typed(part.source, self._typed_schema))
        if not isinstance(typed, pl.DataFrame):
            raise TypeError(f"wanted a polars.DataFrame, got {type(typed).__name__}")
        _write(typed.select(*self._columns, pl.col(CLICK)), part.target)


def _write(encoded: pl.DataFrame, file: Path) -> None:
    """Whole or not there. Level 1, pyarrow's default, writes a third faster than Polars'."""
    partial = file.with_name(file.name + ".partial")
    encoded.write_parquet(partial, compression="zstd", compression_level=1)
    partial.replace(file)


def _ids(column: OutputColumn, vocabulary: Vocabulary, type_: pa.DataType) -> pl.Expr:
    dtype = pl.Int32() if type_ == pa.int32() else pl.Int64()
    source = pl.col(column.source)
    values, ids = pl.Series(vocabulary.value), pl.Series(vocabulary.id).cast(dtype)
    found = (
        source.replace_strict(values, ids, default=OUT_OF_VOCABULARY_ID, return_dtype=dtype)
        if len(vocabulary)
        else pl.lit(OUT_OF_VOCABULARY_ID, dtype)
    )
    null = pl.lit(NULL_ID, dtype)
    return pl.when(source.is_null()).then(null).otherwise(found).alias(column.name)


def _floats(column: OutputColumn) -> pl.Expr:
    result = _apply(_number(column.source), column.float_steps).cast(pl.Float32)
    return result.fill_null(float("nan")).alias(column.name)


def _apply(values: pl.Expr, steps: Sequence[object]) -> pl.Expr:
    """`values` is Float64 and has null for missing."""
    for step in steps:
        values = expression(step, values)
    return values


@singledispatch
def expression(step: object, values: pl.Expr) -> pl.Expr:
    """The Polars form of a float step: what `FloatStep.apply` does, with null for missing."""
    raise TypeError(f"{type(step).__name__} has no Polars form")


@expression.register
def _(step: FillMissing, values: pl.Expr) -> pl.Expr:
    return values.fill_null(step.value)


@expression.register
def _(step: Clip, values: pl.Expr) -> pl.Expr:
    return values.clip(step.minimum, step.maximum)


@expression.register
def _(step: Log, values: pl.Expr) -> pl.Expr:
    return (values + 1.0).log().fill_nan(None)


@expression.register
def _(step: Normalize, values: pl.Expr) -> pl.Expr:
    centred = values - step.mean
    return centred / step.deviation if step.deviation > 0 else centred
