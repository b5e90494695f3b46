"""NVTabular and Merlin Core, imported in one place.

Merlin's warnings about frameworks that are not installed are silenced.
"""

from __future__ import annotations

from plumbline.nvtabular.quiet import quiet

with quiet():
    from merlin import dtypes
    from merlin.core.dispatch import concat, encode_list_column
    from merlin.core.utils import Serial, set_dask_client
    from merlin.dag import DataFormats
    from merlin.dag.executors import DaskExecutor, LocalExecutor
    from merlin.dag.node import iter_nodes
    from merlin.dag.ops import add_metadata as dag_metadata
    from merlin.dag.ops import concat_columns, grouping, selection, subset_columns, subtraction
    from merlin.dag.ops import rename as dag_rename
    from merlin.dag.ops.stat_operator import StatOperator
    from merlin.io import Dataset
    from merlin.io.dataframe_engine import DataFrameDatasetEngine
    from merlin.io.worker import clean_worker_cache, fetch_table_data, get_worker_cache
    from merlin.schema import ColumnSchema, Schema, Tags
    from nvtabular import ColumnSelector, Workflow, WorkflowNode, ops

STRUCTURAL = (
    selection.SelectionOp,
    grouping.GroupingOp,
    concat_columns.ConcatColumns,
    subset_columns.SubsetColumns,
    subtraction.SubtractionOp,
)
"""Operators that select and combine columns without changing them."""

METADATA = tuple(
    getattr(module, name)
    for module in (ops, dag_metadata)
    for name in (
        "AddMetadata",
        "AddTags",
        "AddProperties",
        "TagAsUserID",
        "TagAsItemID",
        "TagAsUserFeatures",
        "TagAsItemFeatures",
    )
)
"""Operators that only add tags and properties to a schema."""

RENAME = (ops.Rename, dag_rename.Rename)
"""Operators that only rename columns."""

__all__ = [
    "METADATA",
    "RENAME",
    "STRUCTURAL",
    "ColumnSchema",
    "ColumnSelector",
    "DaskExecutor",
    "DataFormats",
    "DataFrameDatasetEngine",
    "Dataset",
    "LocalExecutor",
    "Schema",
    "Serial",
    "StatOperator",
    "Tags",
    "Workflow",
    "WorkflowNode",
    "clean_worker_cache",
    "concat",
    "dtypes",
    "encode_list_column",
    "fetch_table_data",
    "get_worker_cache",
    "iter_nodes",
    "ops",
    "set_dask_client",
]
