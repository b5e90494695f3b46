"""Categorify: one vocabulary a column, one for several columns, or one of their combinations."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from plumbline.base.errors import PlanError
from plumbline.features.operators.categorify import FitCategorify
from plumbline.features.steps.chains import Source
from plumbline.features.steps.fit_step import Target
from plumbline.features.steps.step import OUT_OF_VOCABULARY_ID, Step
from plumbline.nvtabular import patched
from plumbline.nvtabular.operators.operator_call import OperatorCall

_ENCODED = ("integer", "text", "ids")


def categorify(at: OperatorCall) -> Source:
    _refuse_parameters(at)
    group = _group(at)
    sources = [at.source(name) for name in group]
    if at.operator.encode_type == "combo":
        for source in sources:
            at.wanted(source, *_ENCODED, lists=len(group) == 1)
        step, taken = _step(at, group, None), tuple(sources)
    else:
        for source in sources:
            at.wanted(source, *_ENCODED, lists=True)
        if len({at.type_of(source).element == "text" for source in sources}) > 1:
            raise at.unsupported("Categorify of integers and text together")
        shared = tuple(sources) if len(group) > 1 else None
        step, taken = _step(at, group, shared), (at.source(at.output),)

    def read(target: Target) -> Step:
        storage = at.operator.name_sep.join(group)
        if storage not in at.operator.categories:
            raise PlanError(f"Column {at.output!r}: Categorify is not fitted. Fit the workflow.")
        columns = list(group) if at.operator.encode_type == "combo" else [storage]
        parts, count = read_vocabulary(
            Path(at.operator.categories[storage]),
            columns,
            f"{storage}_size",
            [target.types[place].element for place in range(len(columns))],
            OUT_OF_VOCABULARY_ID + step.num_buckets,
        )
        return step.written(parts, count, target)

    return at.learned(step, read, *taken)


def _refuse_parameters(at: OperatorCall) -> None:
    without_form = {
        "vocabs": at.operator.vocabs,
        "single_table": at.operator.single_table,
        "search_sorted": at.operator.search_sorted,
    }
    for parameter, value in without_form.items():
        if value:
            raise at.refuse(parameter, value)
    dtype = np.dtype(at.operator.output_dtype)
    if dtype not in (np.dtype(np.int64), np.dtype(np.int32)):
        raise at.refuse("dtype", dtype.name)


def _group(at: OperatorCall) -> tuple[str, ...]:
    """The columns that are encoded together with, or into, the one that was asked for."""
    for group in at.groups:
        is_combination = at.operator.encode_type == "combo"
        if at.output in ((at.operator.name_sep.join(group),) if is_combination else group):
            return group
    raise PlanError(f"Column {at.output!r} is not among those that Categorify was given.")


def _step(
    at: OperatorCall, group: tuple[str, ...], shared: tuple[Source, ...] | None
) -> FitCategorify:
    threshold, max_size, num_buckets = (
        _setting(at, parameter, group)
        for parameter in ("freq_threshold", "max_size", "num_buckets")
    )
    buckets = at.count("num_buckets", num_buckets) if num_buckets else 1
    limit = None
    if max_size:
        # NVTabular counts the ids for padding, null and out of vocabulary, too.
        limit = at.count("max_size", max_size, 2 + buckets) - 2 - buckets
    return FitCategorify(at.count("freq_threshold", threshold or 0, 0), limit, buckets, shared)


def _setting(at: OperatorCall, parameter: str, group: tuple[str, ...]) -> Any:
    """A parameter's value for a group: of a dict that of the joined name, or of the first one."""
    value = getattr(at.operator, parameter)
    found = patched.setting(value, at.operator.name_sep.join(group), group)
    if isinstance(value, dict) and found is None:
        raise at.refuse(parameter, value)
    return found


def read_vocabulary(
    path: Path, columns: Sequence[str], size: str, elements: Sequence[str], first_id: int
) -> tuple[list[pa.Array], np.ndarray[Any, np.dtype[np.int64]]]:
    """A fitted Categorify's `unique.<column>.parquet`, or the folder of parts it may be.

    The id of a value is its row's index in the file, which counts from `first_id`; parts go on
    counting. Returns the values of each column, in the order of their ids, and their counts.

    Raises
    ------
    PlanError
        The ids are others, or the values are not of the wanted elements ("integer", "text").
    """
    files = sorted(path.glob("part.*.parquet"), key=_part_number) if path.is_dir() else [path]
    if size not in pq.read_schema(files[0]).names:
        raise PlanError(
            f"{path}: wanted a column {size!r} with the number of times a value was seen."
        )
    ids = np.concatenate([pd.read_parquet(file, columns=[size]).index for file in files])
    if not np.array_equal(ids, np.arange(len(ids)) + first_id):
        raise PlanError(
            f"{path}: wanted ids from {first_id} on without a gap, found others. "
            "Was the vocabulary made by another version of NVTabular? Fit the workflow again."
        )
    table = pa.concat_tables([pq.read_table(file, columns=[*columns, size]) for file in files])
    parts = [_values(table[c], c, e) for c, e in zip(columns, elements, strict=True)]
    return parts, np.asarray(table[size].cast(pa.int64()), dtype=np.int64)


def _values(values: pa.ChunkedArray, column: str, element: str) -> pa.Array:
    wanted = pa.string() if element == "text" else pa.int64()
    if len(values) == values.null_count:  # pandas writes a column without any string as nulls
        return pa.nulls(len(values), wanted)
    is_text = pa.types.is_string(values.type) or pa.types.is_large_string(values.type)
    if is_text != (element == "text") or not (is_text or pa.types.is_integer(values.type)):
        raise PlanError.wrong_type(column, f"a vocabulary of {wanted}", str(values.type))
    return values.cast(wanted).combine_chunks()


def _part_number(part: Path) -> int:
    return int(part.name.split(".")[1])
