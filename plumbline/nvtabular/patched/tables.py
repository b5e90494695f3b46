"""Statistics by key, as NVTabular stores them: a Parquet file a group of columns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from plumbline.base.file_names import file_name
from plumbline.nvtabular.library import fetch_table_data, get_worker_cache
from plumbline.nvtabular.patched.columns import is_host


def write_table(table: Any, folder: Path, name: str) -> str:
    """Returns the file's path."""
    path = folder / "categories" / f"cat_stats.{file_name(name)}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_parquet(path)
    return str(path)


def read_table(path: str, like: Any) -> Any:
    """A frame of the library of `like`, from this worker's memory if it has been read before."""
    reader = pd.read_parquet
    if not is_host(like):
        import cudf

        reader = cudf.read_parquet
    with get_worker_cache("stats") as cache:
        return fetch_table_data(cache, path, cache="host", reader=reader)
