"""Typed rows as a Polars frame, as in the typed copy: a missing value is null."""

from __future__ import annotations

import numpy as np
import polars as pl
import pyarrow as pa

from plumbline.columns.kinds import CLICK
from plumbline.columns.rows import Rows
from plumbline.columns.values import NULL_INT64, Lists, Text, Values


def frame_of_rows(rows: Rows) -> pl.DataFrame:
    """The columns in order, the click last."""
    columns = {name: series(values) for name, values in rows.columns.items()}
    return pl.DataFrame({**columns, CLICK: rows.click})


def series(values: Values) -> pl.Series:
    """The values, null if missing; an empty list stays an empty list."""
    if isinstance(values, Text):
        text = pl.Series(values.to_arrow())
        return text.set(text == "", None)
    if isinstance(values, Lists):
        elements = series(values.values).to_arrow()
        return pl.Series(pa.LargeListArray.from_arrays(pa.array(values.offsets), elements))
    numbers = pl.Series(np.asarray(values))
    if values.dtype.kind == "f":
        return numbers.fill_nan(None)
    return numbers.set(numbers == NULL_INT64, None)
