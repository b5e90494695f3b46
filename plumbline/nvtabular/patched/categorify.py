"""NVTabular's Categorify with one order of the ids, and for every frame that can come."""

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

from plumbline.base.file_names import file_name
from plumbline.features.steps.step import NULL_ID, OUT_OF_VOCABULARY_ID
from plumbline.nvtabular.library import concat, ops
from plumbline.nvtabular.patched.columns import (
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
from plumbline.nvtabular.patched.reductions import reduced
from plumbline.nvtabular.patched.tables import read_table

ID = "\x1fid"


class Categorify(ops.Categorify):
    """The ids of `nvtabular.ops.Categorify`, made the same on every run and every device.

    - NVTabular sorts the vocabulary by count with an unstable sort, so values of one count come in
      an order that depends on the number of rows and on the machine, and so does what `max_size`
      cuts off. Here they come by value, ascending (strings by their UTF-8 bytes).
    - NVTabular fails on a frame in which a column has no value at all, on missing lists, and on
      dicts that name a group of columns; it takes a missing value in a list for an unknown one.
    - Its hash of values out of vocabulary is another one in every row (see `columns.hashes`).
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


def as_group(name: str | Sequence[str]) -> tuple[str, ...]:
    return (name,) if isinstance(name, str) else tuple(name)


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
