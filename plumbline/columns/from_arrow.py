"""Arrow tables as Polars frames."""

from __future__ import annotations

import polars as pl
import pyarrow as pa


def frame_from_arrow(table: pa.Table) -> pl.DataFrame:
    """The table as a frame with the same chunks; `pl.DataFrame` would copy them into one."""
    frame = pl.from_arrow(table)
    if not isinstance(frame, pl.DataFrame):
        raise TypeError(f"wanted a polars.DataFrame, got {type(frame).__name__}")
    return frame
