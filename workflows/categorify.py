"""NVTabular's Categorify with a fixed order on ties, and for frames without any value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from features.steps.categorify import NULL_ID
from workflows.library import ColumnSelector, ops


class Categorify(ops.Categorify):
    """The ids of `nvtabular.ops.Categorify`, made the same on every run and every device.

    - NVTabular sorts the vocabulary by count with an unstable sort, so values of one count come in
      an order that depends on the number of rows and on the machine. Here they come by value,
      ascending (strings by their UTF-8 bytes).
    - NVTabular fails on a frame in which a column has no value at all. Here such a column is all
      null, id 1.
    """

    def fit_finalize(self, categories: dict[str, str]) -> None:
        for column, file in categories.items():
            _order_ties(Path(file), column)
        super().fit_finalize(categories)

    def transform(self, col_selector: Any, df: Any) -> Any:
        names = col_selector.names
        without_values = [name for name in names if bool(df[name].isna().all())]
        if not without_values:
            return super().transform(col_selector, df)
        rest = [name for name in names if name not in without_values]
        encoded = super().transform(ColumnSelector(rest), df) if rest else df.copy(deep=False)
        for name in without_values:
            encoded[name] = np.dtype(self.output_dtype).type(NULL_ID)
        return encoded


def _order_ties(file: Path, column: str) -> None:
    """Sort a `unique.<column>.parquet` again; the ids are its index, 3, 4, …, and stay so."""
    table = pq.read_table(file)
    ordered = table.sort_by([(f"{column}_size", "descending"), (column, "ascending")])
    pq.write_table(ordered.replace_schema_metadata(table.schema.metadata), file)
