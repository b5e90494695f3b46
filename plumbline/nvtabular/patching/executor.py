"""Merlin's executor, patched."""

from __future__ import annotations

from typing import Any

from plumbline.nvtabular.library import DaskExecutor, DataFormats, LocalExecutor


class _Local(LocalExecutor):
    """Merlin's executor fails on a partition in which no list has a value.

    It also returns a column twice if an operator takes it as a key and learns from it too.
    """

    def _capture_dtypes(self, node: Any, output_data: Any) -> None:
        pass

    def transform(self, *args: Any, **kwargs: Any) -> Any:
        frame = super().transform(*args, **kwargs)
        duplicated = frame.columns.duplicated()
        return frame.loc[:, ~duplicated] if duplicated.any() else frame


class Executor(DaskExecutor):
    """Runs a workflow's graph on the partitions of a Dask frame."""

    def __init__(self) -> None:
        super().__init__()
        self._executor = _Local()
        self._executor.target_format = DataFormats.PANDAS_DATAFRAME | DataFormats.CUDF_DATAFRAME
