"""JoinExternal: columns of a table outside of the log, by a unique key."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from plumbline.base.errors import DataError
from plumbline.columns.arrow_hash import columns_sha256
from plumbline.columns.keys import part_values
from plumbline.features.operators.join_external import FitJoin, in_order
from plumbline.features.operators.keyed_key import element_of
from plumbline.features.statistics.keys import distinct, key_array
from plumbline.features.steps.chains import Source
from plumbline.features.steps.fit_step import NoRows, Target
from plumbline.features.steps.step import Step
from plumbline.nvtabular.constants import EXACT_INTEGERS
from plumbline.nvtabular.library import ParquetDatasetEngine, ops
from plumbline.nvtabular.operator_call import CompiledOperator, OperatorCall
from plumbline.nvtabular.patching.columns import as_group, frame_of, is_host, key_frame, looked_up

_VALUE = "\x1fvalue "
"""Before the name of a joined column, which may be that of a key."""

_NULLABLE = {
    pa.int8(): pd.Int8Dtype(),
    pa.int16(): pd.Int16Dtype(),
    pa.int32(): pd.Int32Dtype(),
    pa.int64(): pd.Int64Dtype(),
    pa.uint8(): pd.UInt8Dtype(),
    pa.uint16(): pd.UInt16Dtype(),
    pa.uint32(): pd.UInt32Dtype(),
    pa.uint64(): pd.UInt64Dtype(),
    pa.bool_(): pd.BooleanDtype(),
}


def join_external(at: OperatorCall) -> Source:
    operator = at.operator
    if operator.how != "left":
        remedy = "Write how='left': a server answers every row. Filter drops training rows."
        raise at.unsupported_parameter("how", operator.how, remedy)
    keys, key_columns = as_group(operator.on), as_group(operator.on_ext)
    table = external_table(operator)
    for name in keys:
        if name not in at.inputs:
            raise at.unsupported(f"JoinExternal(on={name!r})", f"Select {name!r} before it.")
    for name in key_columns:
        if name not in table.column_names:
            raise at.unsupported(f"JoinExternal(on_ext={name!r})", f"Keep {name!r} in columns_ext.")
    if at.output in at.inputs:
        if at.output in joined_columns(operator, table):
            raise at.unsupported("JoinExternal with a name of the table", "Rename the column.")
        return at.source(at.output)
    sources = tuple(at.require(at.source(name), "integer", "text") for name in keys)
    for name, source in zip(key_columns, sources, strict=True):
        wanted, got = at.type_of(source).element, element_of(_key_part(table, name))
        if got != wanted:
            raise at.unsupported(
                f"JoinExternal(on_ext={name!r}) of {got}", f"Make its values {wanted}."
            )
    parts, order = ordered_keys(operator)
    values = table[at.output].combine_chunks().take(order)
    step = FitJoin(columns_sha256([*parts, values]), parts, values)

    def read(target: Target) -> Step:
        return step.fitted(NoRows(), target)

    return at.fit_step(step, read, *sources)


def external_table(operator: Any) -> pa.Table:
    """The columns of the table that may be joined: int64, string or float64; read once.

    Raises
    ------
    DataError
        A column has values of another type.
    """
    if "external_table" not in vars(operator):
        frame = _frame(operator.df_ext, operator.columns_ext)
        if operator.columns_ext:
            frame = frame[list(operator.columns_ext)]
        if operator.drop_duplicates_ext:
            frame = frame.drop_duplicates(ignore_index=True)
        if not is_host(frame):
            frame = frame.to_pandas(nullable=True)
        read = pa.Table.from_pandas(frame, preserve_index=False)
        columns = {name: _plain(name, read[name]) for name in read.column_names}
        operator.external_table = pa.table(columns)
    table: pa.Table = operator.external_table
    return table


def ordered_keys(operator: Any) -> tuple[tuple[pa.Array, ...], pa.Array]:
    """The columns of the table's keys, ascending, and that order of its rows; computed once.

    Raises
    ------
    DataError
        A key is in several rows.
    """
    if "ordered_keys" not in vars(operator):
        table, names = external_table(operator), as_group(operator.on_ext)
        parts = [_key_part(table, name) for name in names]
        _require_distinct(parts, names)
        order = in_order(parts)
        operator.ordered_keys = tuple(part.take(order) for part in parts), order
    keys: tuple[tuple[pa.Array, ...], pa.Array] = operator.ordered_keys
    return keys


def joined_columns(operator: Any, table: pa.Table) -> list[str]:
    """The columns of the table that become outputs; a key of the same name in both is the row's."""
    keys = zip(as_group(operator.on), as_group(operator.on_ext), strict=True)
    shared = [name for name, external in keys if name == external]
    return [name for name in table.column_names if name not in shared]


def _frame(dataset: Any, columns: list[str] | None) -> Any:
    """The columns of a Merlin dataset. Merlin fails on a file of integers with missing values."""
    engine = dataset.engine
    if not isinstance(engine, ParquetDatasetEngine):
        return dataset.to_ddf(columns=columns).compute(scheduler="synchronous")
    options = {"columns": columns, "filesystem": engine.fs, "filters": engine.filters}
    files = [pq.read_table(path, **options) for path in engine.stripped_paths]
    table = pa.concat_tables(files, promote_options="default")
    return table.to_pandas(types_mapper=_NULLABLE.get, ignore_metadata=True)


def _plain(name: str, column: pa.ChunkedArray) -> pa.Array:
    array = column.combine_chunks()
    if pa.types.is_dictionary(array.type):
        array = array.dictionary_decode()
    if pa.types.is_floating(array.type) or pa.types.is_null(array.type):
        return array.cast(pa.float64())
    if pa.types.is_integer(array.type) or pa.types.is_boolean(array.type):
        return array.cast(pa.int64())
    if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
        return array.cast(pa.string())
    raise DataError(
        f"JoinExternal: the column {name!r} of the table has values of type {array.type}, wanted "
        "numbers, integers or text. Cast it, or leave it out of columns_ext."
    )


def _key_part(table: pa.Table, name: str) -> pa.Array:
    """Integers that pandas holds as float64, because some are missing, as integers again."""
    array = table[name].combine_chunks()
    if not pa.types.is_floating(array.type):
        return array
    numbers = np.asarray(array.fill_null(np.nan), np.float64)
    missing = np.isnan(numbers)
    whole = np.where(missing, 0.0, numbers)
    if (whole != np.floor(whole)).any() or (np.abs(whole) > EXACT_INTEGERS).any():
        return array
    return pa.array(whole.astype(np.int64), mask=missing)


def _require_distinct(parts: Sequence[pa.Array], names: Sequence[str]) -> None:
    keys, index = distinct(key_array([part_values(part) for part in parts]))
    if len(keys) == len(index):
        return
    repeated = int(np.flatnonzero(np.bincount(index)[index] > 1)[0])
    example = ", ".join(
        f"{name}={part[repeated].as_py()!r}" for name, part in zip(names, parts, strict=True)
    )
    raise DataError(
        f"JoinExternal wants one row of the table for each key, got {len(index) - len(keys)} rows "
        f"with the key of an earlier one, such as {example}. Give one row per key; "
        "drop_duplicates_ext=True drops rows that are equal in every column."
    )


class JoinExternal(ops.JoinExternal):
    """Joins the table that the plan holds: one row per key, nullable integers."""

    def column_mapping(self, col_selector: Any) -> dict[str, list[str]]:
        joined = self.columns_ext or external_table(self).column_names
        return {name: [name] for name in dict.fromkeys([*col_selector.names, *joined])}

    def transform(self, col_selector: Any, df: Any) -> Any:
        table, keys = external_table(self), as_group(self.on)
        parts = [_key_part(table, name) for name in as_group(self.on_ext)]
        names = joined_columns(self, table)
        columns = dict(zip(keys, parts, strict=True))
        columns |= {_VALUE + name: table[name].combine_chunks() for name in names}
        external = pa.table(columns).to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)
        if not is_host(df):
            external = type(df).from_pandas(external)
        found = looked_up(key_frame(df, keys), external, keys)
        passed = {name: df[name].reset_index(drop=True) for name in col_selector.names}
        return frame_of(df, {**passed, **{name: found[_VALUE + name] for name in names}})


OPERATORS = (CompiledOperator(ops.JoinExternal, join_external, JoinExternal),)
