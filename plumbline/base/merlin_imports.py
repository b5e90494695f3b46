"""The settings with which Dask, NVTabular and the Merlin packages are imported.

They are imported inside `with merlin_imports():` and nowhere else; tests/repo/test_imports.py holds
that.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from plumbline.base.errors import PlumblineError

DASK_SETTINGS = {"dataframe.query-planning": False, "dataframe.convert-string": False}
"""Merlin builds on Dask's frames without a query planner, and makes text of `object` columns."""


@contextmanager
def merlin_imports() -> Iterator[None]:
    """Inside, Dask, NVTabular and the Merlin packages can be imported.

    The settings come too late if Dask's data frames were imported before. A graph can be compiled
    nevertheless; what reads data by Merlin calls `require_no_query_planner`.
    """
    import dask

    dask.config.set(DASK_SETTINGS)

    from merlin.core.compat import cudf

    if cudf is not None:
        complete(cudf.core.column)
    yield


def require_no_query_planner() -> None:
    """Raises PlumblineError if Dask's data frames were imported with the query planner."""
    frames = sys.modules.get("dask.dataframe")
    if frames is not None and frames._dask_expr_enabled():
        raise PlumblineError(
            "NVTabular needs Dask's data frames without the query planner, but `dask.dataframe` "
            "was imported before with it. Import `plumbline.nvtabular.library` first, or set "
            "DASK_DATAFRAME__QUERY_PLANNING=False in the environment."
        )


def complete(column: Any) -> None:
    """Give `cudf.core.column` the function that `merlin.io` imports and cuDF 24.12 has no more.

    Merlin calls it for one thing that is not done here: reading a data set with partitions in its
    folders' names from a remote file system. This has not run on a device.
    """
    if not hasattr(column, "build_categorical_column"):
        column.build_categorical_column = _no_categorical_column


def _no_categorical_column(*arguments: Any, **options: Any) -> None:
    raise NotImplementedError(
        "Merlin cannot read a remote data set that is partitioned by its folders' names with this "
        "release of cuDF. Copy it to a local disk, or write it without such folders."
    )
