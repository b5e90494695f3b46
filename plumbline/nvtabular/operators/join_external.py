"""JoinExternal: columns of a table outside of the log, by a unique key."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from plumbline.base.errors import DataError
from plumbline.columns.keys import part_values
from plumbline.columns.values import Text
from plumbline.features.operators.join_external import FitJoin, NoRows, in_order
from plumbline.features.operators.keyed_key import element_of
from plumbline.features.statistics.keys import distinct, key_array
from plumbline.features.steps.chains import Source
from plumbline.features.steps.fit_step import Target
from plumbline.features.steps.step import Step
from plumbline.nvtabular.library import ops
from plumbline.nvtabular.operator_call import EXACT_INTEGERS, CompiledOperator, OperatorCall
from plumbline.nvtabular.patching.columns import as_group, frame_of, is_host, key_frame, looked_up

_VALUE = "\x1fvalue "
"""Before the name of a joined column, which may be that of a key."""


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
    parts = []
    for name, source in zip(key_columns, sources, strict=True):
        parts.append(_as_key(table[name].combine_chunks()))
        wanted, got = at.type_of(source).element, element_of(parts[-1])
        if got != wanted:
            raise at.unsupported(
                f"JoinExternal(on_ext={name!r}) of {got}", f"Make its values {wanted}."
            )
    _require_distinct(parts, key_columns, at.output)
    order = in_order(parts)
    parts = [part.take(order) for part in parts]
    values = table[at.output].combine_chunks().take(order)
    step = FitJoin(_sha256([*parts, values]), tuple(parts), values)

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
        frame = operator.df_ext.to_ddf(columns=operator.columns_ext).compute(
            scheduler="synchronous"
        )
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


def joined_columns(operator: Any, table: pa.Table) -> list[str]:
    """The columns of the table that become outputs; a key of the same name in both is the row's."""
    keys = zip(as_group(operator.on), as_group(operator.on_ext), strict=True)
    shared = [name for name, external in keys if name == external]
    return [name for name in table.column_names if name not in shared]


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


def _as_key(array: pa.Array) -> pa.Array:
    """Integers that pandas holds as float64, because some are missing, as integers again."""
    if not pa.types.is_floating(array.type):
        return array
    numbers = np.asarray(array.fill_null(np.nan), np.float64)
    missing = np.isnan(numbers)
    whole = np.where(missing, 0.0, numbers)
    if (whole != np.floor(whole)).any() or (np.abs(whole) > EXACT_INTEGERS).any():
        return array
    return pa.array(whole.astype(np.int64), mask=missing)


def _sha256(columns: Sequence[pa.Array]) -> str:
    """The hash of columns of equal length, missing values included."""
    digest = sha256()
    arrays: Sequence[Any]
    for column in columns:
        if pa.types.is_floating(column.type):
            numbers = np.asarray(column.fill_null(np.nan), np.float64)
            arrays = [np.where(np.isnan(numbers), np.nan, numbers)]
        else:
            values = part_values(column)
            arrays = [values.offsets, values.data] if isinstance(values, Text) else [values]
        for array in arrays:
            digest.update(f"{array.dtype} {len(array)} ".encode() + array.tobytes())
    return digest.hexdigest()


def _require_distinct(parts: Sequence[pa.Array], names: Sequence[str], output: str) -> None:
    keys, index = distinct(key_array([part_values(part) for part in parts]))
    if len(keys) == len(index):
        return
    repeated = int(np.flatnonzero(np.bincount(index)[index] > 1)[0])
    example = ", ".join(
        f"{name}={part[repeated].as_py()!r}" for name, part in zip(names, parts, strict=True)
    )
    raise DataError(
        f"Column {output!r}: JoinExternal wants one row of the table for each key, got "
        f"{len(index) - len(keys)} rows with the key of an earlier one, such as {example}. Give "
        "one row per key; drop_duplicates_ext=True drops rows that are equal in every column."
    )


class JoinExternal(ops.JoinExternal):
    """Joins the table that the plan holds: one row per key, nullable integers."""

    def transform(self, col_selector: Any, df: Any) -> Any:
        table, keys = external_table(self), as_group(self.on)
        parts = [_as_key(table[name].combine_chunks()) for name in as_group(self.on_ext)]
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
