"""Categorify: one vocabulary a column, one for several columns, or one of their combinations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from plumbline.base.errors import PlanError
from plumbline.base.file_names import file_name
from plumbline.features.operators.categorify import FitCategorify
from plumbline.features.steps.chains import Source
from plumbline.features.steps.fit_step import Target
from plumbline.features.steps.step import NULL_ID, OUT_OF_VOCABULARY_ID, Step
from plumbline.nvtabular.library import concat, ops
from plumbline.nvtabular.operator_call import CompiledOperator, OperatorCall
from plumbline.nvtabular.patching.columns import (
    as_group,
    elements,
    frame_of,
    hashes,
    is_host,
    is_list,
    key_frame,
    keys,
    looked_up,
    relisted,
)
from plumbline.nvtabular.patching.reductions import reduced
from plumbline.nvtabular.patching.tables import read_table, read_vocabulary

ID = "\x1fid"

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
        path = Path(at.learned_value(at.operator.categories, storage))
        columns = list(group) if at.operator.encode_type == "combo" else [storage]
        parts, count = read_vocabulary(
            path,
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
    found = setting(value, at.operator.name_sep.join(group), group)
    if isinstance(value, dict) and found is None:
        raise at.refuse(parameter, value)
    return found


class Categorify(ops.Categorify):
    """The ids of `nvtabular.ops.Categorify`, made the same on every run and every device.

    - NVTabular sorts the vocabulary by count with an unstable sort, so values of one count come in
      an order that depends on the number of rows and on the machine, and so does what `max_size`
      cuts off. Here they come by value, ascending (strings by their UTF-8 bytes).
    - NVTabular fails on a frame in which a column has no value at all, on missing lists, and on
      dicts that name a group of columns; it takes a missing value in a list for an unknown one.
    - Its hash of values out of vocabulary is another one in every row (see `columns.value_hash`).
    """

    _members: Mapping[str, tuple[str, ...]] = {}
    """Vocabulary to the columns that share it, or are combined in it; known once it is fitted."""

    def fit(self, col_selector: Any, ddf: Any) -> Any:
        groups = [as_group(name) for name in col_selector.grouped_names]
        self._members = {self.name_sep.join(group): group for group in groups}
        for name, group in self._members.items():
            if len(group) > 1 and self.encode_type == "joint":
                self.storage_name.update(dict.fromkeys(group, name))
        learn = partial(_counted, self._members, self.encode_type == "combo")
        return reduced(ddf, learn, _merged)

    def fit_finalize(self, categories: dict[str, Any]) -> None:
        folder = Path(self.out_path) / "categories"
        folder.mkdir(parents=True, exist_ok=True)
        for name, counts in categories.items():
            path = folder / f"unique.{file_name(name)}.parquet"
            self._vocabulary(name, counts).to_parquet(path)
            self.categories[name] = str(path)

    def _vocabulary(self, name: str, counts: Any) -> Any:
        """By count descending, on ties by the values from left to right, missing ones first."""
        host = counts if is_host(counts) else counts.to_pandas(nullable=True)
        size = f"{name}_size"
        columns = [column for column in host.columns if column != size]
        table = pa.Table.from_pandas(host[[size, *columns]], preserve_index=False)
        places = [str(place) for place in range(len(table.column_names))]  # names may be patterns
        order = pc.sort_indices(
            table.rename_columns(places),
            sort_keys=[(places[0], "descending"), *((place, "ascending") for place in places[1:])],
            null_placement="at_start",
        )
        ordered = host.iloc[np.asarray(order)]
        threshold = setting(self.freq_threshold, name, self._members[name])
        limit = setting(self.max_size, name, self._members[name])
        first = OUT_OF_VOCABULARY_ID + self._buckets(name)
        ordered = ordered[ordered[size] >= (threshold or 0)]
        if limit:
            ordered = ordered.iloc[: max(limit - first, 0)]
        return ordered.set_index(pd.RangeIndex(first, first + len(ordered)))

    def _buckets(self, name: str) -> int:
        return setting(self.num_buckets, name, self._members.get(name, ())) or 1

    def transform(self, col_selector: Any, df: Any) -> Any:
        columns = {}
        for name, group in self.column_mapping(col_selector).items():
            column = df[group[0]]
            if len(group) == 1 and is_list(column):
                values = frame_of(df, {group[0]: elements(column)})
                columns[name] = relisted(column, self._ids(name, values))
            else:
                columns[name] = self._ids(name, key_frame(df, group))
        return frame_of(df, columns)

    def _ids(self, name: str, values: Any) -> Any:
        """The ids of the rows of `values`, a frame of one column or of those combined."""
        names = list(values.columns)
        storage = self.storage_name.get(name, name)
        buckets = self._buckets(storage)
        vocabulary = read_table(self.categories[storage], values)
        if len(names) == 1:
            vocabulary = vocabulary.rename(columns={storage: names[0]})
        found = np.zeros(len(values), np.int64)
        if len(vocabulary):
            first = OUT_OF_VOCABULARY_ID + buckets
            by_value = vocabulary[names].assign(**{ID: np.arange(first, first + len(vocabulary))})
            found = looked_up(values, by_value, names)[ID].fillna(0).astype(np.int64).to_numpy()
        unknown = np.full(len(values), OUT_OF_VOCABULARY_ID)
        if buckets > 1:
            combined = np.bitwise_xor.reduce([hashes(values[column]) for column in names])
            unknown = unknown + (combined % np.uint64(buckets)).astype(np.int64)
        ids = np.where(found > 0, found, unknown)
        ids[values.isna().all(axis=1).to_numpy()] = NULL_ID
        return ids

    def _compute_properties(self, col_schema: Any, input_schema: Any) -> Any:
        name = self.storage_name.get(col_schema.name, col_schema.name)
        cardinality = OUT_OF_VOCABULARY_ID + self._buckets(name)
        if name in self.categories:
            cardinality += pq.read_metadata(self.categories[name]).num_rows
        return col_schema.with_properties(
            {"domain": {"min": 0, "max": cardinality - 1, "name": name}}
        )


def setting(value: Any, name: str, columns: Sequence[str]) -> Any:
    """What a parameter has for a group: of a dict that of the group's name or of a column's."""
    if not isinstance(value, dict):
        return value
    return next((value[known] for known in (name, *columns) if known in value), None)


def _counted(groups: Mapping[str, tuple[str, ...]], combined: bool, df: Any) -> dict[str, Any]:
    """Group to a frame of its values, and how often each is there."""
    found = {}
    for name, group in groups.items():
        if combined and len(group) > 1:
            values = key_frame(df, group)
        else:
            columns = [df[one] for one in group]
            parts = [elements(c) if is_list(c) else keys(c) for c in columns]
            values = frame_of(df, {name: concat(parts, ignore_index=True)})
        found[name] = _sizes(values.dropna(how="all"), f"{name}_size")
    return found


def _sizes(values: Any, size: str) -> Any:
    names = list(values.columns)
    counted = values.assign(**{size: 1}).groupby(names, dropna=False, sort=False).sum()
    return counted.reset_index()


def _merged(parts: list[dict[str, Any]]) -> dict[str, Any]:
    merged = {}
    for name in parts[0]:
        joined = concat([part[name] for part in parts], ignore_index=True)
        names = [column for column in joined.columns if column != f"{name}_size"]
        merged[name] = joined.groupby(names, dropna=False, sort=False).sum().reset_index()
    return merged


OPERATORS = (CompiledOperator(ops.Categorify, categorify, Categorify, domain_excess=0),)
