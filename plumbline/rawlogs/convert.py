"""Raw rows to typed rows; `plumbline.columns.value_rules` defines what a value means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import polars as pl
import polars.selectors as cs
from numpy.typing import NDArray

from plumbline.base.errors import DataError
from plumbline.columns.exact import column
from plumbline.columns.kinds import CLICK, Kind
from plumbline.columns.value_rules.convert import convert_column, convert_order
from plumbline.columns.value_rules.converted import ColumnRefused, Converted, raw_value
from plumbline.rawlogs.malformed import Fault
from plumbline.rawlogs.raw_rows import RawRows
from plumbline.settings import Label, Table

TIME = "\x1ftime"
"""Name of the time column until the rows are sorted; no log column has a control character."""


def convert(
    file: Path,
    rows: RawRows,
    kinds: Mapping[str, Kind],
    label: Label,
    table: Table,
    time_column: str | None = None,
) -> tuple[pl.DataFrame, list[Fault]]:
    """Type a batch of `table`; a row with a malformed value becomes a fault.

    The label's column becomes `click`, the `time_column`, which orders the rows, `TIME`; the others
    keep their names, and so does a time that is a feature too. Flags become the lists that
    `table.multi_hot` names.

    Raises
    ------
    DataError
        The type of a Parquet column does not fit its kind, or its integers contradict each other.
    """
    raw = rows.columns
    rules = table.value_rules
    try:
        converted: list[tuple[str, Converted]] = []
        for name, kind in kinds.items():
            if name == time_column:
                converted.append((TIME, convert_order(raw[name], rules)))
            if kind != "time" or name in table.time_features:
                found = convert_column(raw[name], kind, rules, label)
                converted.append((CLICK if kind == "label" else name, found))
    except ColumnRefused as error:
        raise DataError(f"{file}: {error}.") from None
    frame = pl.DataFrame([found.value.alias(name) for name, found in converted])
    frame = _with_multi_hot(frame, table)
    refused = np.zeros(len(raw), np.bool_)
    for _, found in converted:
        refused |= found.malformed
    if not refused.any():
        return frame, []
    return frame.filter(pl.Series(~refused)), _faults(
        raw, rows.numbers, refused, [found for _, found in converted]
    )


def _faults(
    raw: pl.DataFrame,
    numbers: NDArray[np.int64],
    refused: NDArray[np.bool_],
    converted: Sequence[Converted],
) -> list[Fault]:
    faults = []
    for row in np.flatnonzero(refused).tolist():
        found = next(found for found in converted if found.malformed[row])
        name = found.value.name
        value = raw_value(raw[name], row)
        reason = f"column {name!r}: {found.reason(value)}"
        faults.append(Fault(int(numbers[row]), reason, found.advice(value)))
    return faults


def _with_multi_hot(frame: pl.DataFrame, table: Table) -> pl.DataFrame:
    """Replace the flags of each of `table.multi_hot` by a list of the names of those that are 1."""
    for name, flags in table.multi_hot.items():
        names = [pl.when(column(flag) == 1).then(pl.lit(flag)) for flag in flags]
        lists = pl.concat_list(names).list.drop_nulls().alias(name)
        frame = frame.with_columns(lists).drop(cs.by_name(*flags))
    return frame
