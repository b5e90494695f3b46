"""All rows of an open Parquet file, also of one without row groups, which pyarrow 18 cannot read.

`pq.read_table` reads those too, but it imports pandas, which a server should not.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import pyarrow as pa
import pyarrow.parquet as pq


def read_columns(parquet: pq.ParquetFile, names: Collection[str] | None = None) -> pa.Table:
    """The named columns in that order, or all; raises KeyError for one that is not in the file."""
    if parquet.num_row_groups:
        table = parquet.read(columns=None if names is None else list(names))
    else:  # not `empty_table`, which imports pandas
        schema = parquet.schema_arrow
        table = pa.table([pa.nulls(0, type_) for type_ in schema.types], schema=schema)
    return table if names is None else table.select(list(names))


def read_batches(
    parquet: pq.ParquetFile, rows: int, names: Collection[str] | None = None
) -> Iterator[pa.RecordBatch]:
    """The named columns, or all, `rows` rows at a time; the last batch may be smaller."""
    if parquet.num_row_groups:
        columns = None if names is None else list(names)
        yield from parquet.iter_batches(rows, columns=columns)
