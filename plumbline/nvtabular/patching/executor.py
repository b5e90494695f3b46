"""Merlin's executor, patched."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Any

from plumbline.nvtabular.library import (
    DaskExecutor,
    DataFormats,
    LocalExecutor,
    clean_worker_cache,
    global_dask_client,
    grouping,
    subtraction,
)

_PARTITION: ContextVar[int] = ContextVar("partition", default=0)


def partition_number() -> int:
    """The number of the partition that is being transformed, from 0."""
    return _PARTITION.get()


class _Local(LocalExecutor):
    """Merlin's executor, with these differences.

    - Merlin's fails on a partition in which no list has a value.
    - Merlin's returns a column twice if an operator takes it as a key and learns from it too.
    - `node - ["name"]` returns the columns that remain. Merlin's operator returns the subtracted
      ones. `node - node` does not need raw columns named like the subtracted ones.
    - `node + [node, "name"]` does not need all raw columns. Merlin's schema of the list names them.
    - An operator that does not return all columns of its schema raises. Merlin's executor takes a
      column that is missing from the raw frame, if that has one of the same name.
    """

    def _capture_dtypes(self, node: Any, output_data: Any) -> None:
        pass

    def _append_addl_root_columns(self, node: Any, transformable: Any, upstream: list[Any]) -> Any:
        if isinstance(node.op, grouping.GroupingOp) and upstream:
            return upstream
        present = {name for frame in upstream for name in frame.columns}
        names = dict.fromkeys([*node.input_schema.column_names, *node.dependency_columns.names])
        raw = [name for name in names if name not in present]
        return [*upstream, transformable[raw]] if raw else upstream

    def _run_node_transform(self, node: Any, input_data: Any, *args: Any, **kwargs: Any) -> Any:
        names = node.output_schema.column_names
        if isinstance(node.op, subtraction.SubtractionOp):
            return input_data[names]
        frame = super()._run_node_transform(node, input_data, *args, **kwargs)
        missing = [name for name in names if name not in frame.columns]
        if missing:
            raise RuntimeError(
                f"{type(node.op).__name__}: wanted columns {', '.join(names)}, "
                f"got none named {', '.join(missing)}"
            )
        return frame

    def transform(self, *args: Any, partition_info: Any = None, **kwargs: Any) -> Any:
        """Dask gives `partition_info`, because it is named here."""
        token = _PARTITION.set(partition_info["number"] if partition_info else 0)
        try:
            frame = super().transform(*args, **kwargs)
        finally:
            _PARTITION.reset(token)
        duplicated = frame.columns.duplicated()
        return frame.loc[:, ~duplicated] if duplicated.any() else frame


class Executor(DaskExecutor):
    """Runs a workflow's graph on the partitions of a Dask frame."""

    def __init__(self) -> None:
        super().__init__()
        self._executor = _Local()
        self._executor.target_format = DataFormats.PANDAS_DATAFRAME | DataFormats.CUDF_DATAFRAME

    def _clear_worker_cache(self) -> None:
        """Merlin's raises if a worker dies meanwhile, whose cache is gone anyway."""
        client = global_dask_client()
        if client is None:
            clean_worker_cache()
        else:
            client.run(clean_worker_cache, on_error="ignore")
