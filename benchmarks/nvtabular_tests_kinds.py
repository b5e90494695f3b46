"""A frame of one of NVTabular's tests as typed rows: its kinds are guessed from its types."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.compute as pc

from plumbline.columns.kinds import CLICK, FeatureKind
from plumbline.columns.typed import ARROW_TYPES, CLICK_TYPE
from plumbline.columns.value_rules.arrow_types import simple
from plumbline.columns.value_rules.convert import convert_column
from plumbline.columns.value_rules.rules import ValueRules
from plumbline.nvtabular.compile import with_schema
from plumbline.nvtabular.graph_walker import GraphWalker
from plumbline.nvtabular.library import Workflow

Kinds = dict[str, FeatureKind]

LISTS: Mapping[FeatureKind | None, FeatureKind] = {
    "integer": "integer_list",
    "string": "string_list",
}


def kinds_of(table: pa.Table) -> Kinds:
    """The kinds of the columns that have one."""
    kinds = {name: _kind(table[name]) for name in table.column_names if name != CLICK}
    return {name: kind for name, kind in kinds.items() if kind is not None}


def encoded_outputs(workflow: Workflow, kinds: Kinds) -> list[str]:
    """The outputs without the raw keys, times and lists, which no plan has as they are.

    Raises
    ------
    PlumblineError
        The workflow has no compiled form.
    """
    outputs = GraphWalker(kinds, fitted=False).outputs(with_schema(workflow, kinds))
    return [
        name
        for name, column in outputs.items()
        if not isinstance(column.source, str) or kinds.get(column.source) == "continuous"
    ]


def arrow_table(frame: pd.DataFrame) -> pa.Table:
    """The columns that Arrow can hold, with the types that their values have."""
    columns = {name: _arrow(frame[name]) for name in frame.columns}
    return pa.table({name: column for name, column in columns.items() if column is not None})


def typed_rows(table: pa.Table, kinds: Kinds) -> pa.Table:
    """The rows as the ingest writes them; every other row is a click if the table has none."""
    columns = {name: _typed(name, table[name], kind) for name, kind in kinds.items()}
    clicks = table[CLICK] if CLICK in table.column_names else np.arange(len(table)) % 2
    return pa.table({**columns, CLICK: pa.array(np.asarray(clicks), CLICK_TYPE)})


def _arrow(column: pd.Series) -> pa.ChunkedArray | None:
    try:
        return pa.chunked_array([pa.array(column, from_pandas=True)])
    except (pa.ArrowInvalid, pa.ArrowTypeError):  # values of several types
        return None


def _kind(column: pa.ChunkedArray) -> FeatureKind | None:
    type_ = column.type
    if pa.types.is_list(type_):
        return LISTS.get(_kind(pc.list_flatten(column)))
    if pa.types.is_dictionary(type_):
        return _kind(column.cast(type_.value_type))
    if pa.types.is_integer(type_) or _are_whole(column):
        return "integer"
    if pa.types.is_floating(type_):
        return "continuous"
    if pa.types.is_boolean(type_):
        return "boolean"
    if pa.types.is_temporal(type_):
        return "time"
    return "string" if pa.types.is_string(type_) or pa.types.is_null(type_) else None


def _are_whole(column: pa.ChunkedArray) -> bool:
    """Whether they are whole numbers and some are missing: pandas then makes floats of integers."""
    if not pa.types.is_floating(column.type) or not column.null_count:
        return False
    known = column.drop_null()
    return len(known) > 0 and pc.all(pc.equal(pc.round(known), known)).as_py() is True


def _typed(name: str, column: pa.ChunkedArray, kind: FeatureKind) -> pa.Array:
    converted = convert_column(pl.Series(name, simple(name, column)), kind, ValueRules())
    return converted.value.to_arrow().cast(ARROW_TYPES[kind])
