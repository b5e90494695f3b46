"""NVTabular, Merlin Core and Dask, imported in one place.

Merlin's warnings about frameworks that are not installed are silenced.
"""

from __future__ import annotations

from plumbline.base.merlin_imports import merlin_imports
from plumbline.nvtabular.quiet import quiet

with quiet(), merlin_imports():
    import dask.dataframe as dask_frames
    import distributed
    from dask import config as dask_config
    from dask import delayed
    from merlin import dtypes
    from merlin.core.dispatch import concat, encode_list_column
    from merlin.core.utils import Serial, global_dask_client, set_dask_client
    from merlin.dag import DataFormats
    from merlin.dag.executors import DaskExecutor, LocalExecutor
    from merlin.dag.node import Node, iter_nodes
    from merlin.dag.ops import add_metadata as dag_metadata
    from merlin.dag.ops import concat_columns, grouping, selection, subset_columns, subtraction
    from merlin.dag.ops import rename as dag_rename
    from merlin.dag.ops.stat_operator import StatOperator
    from merlin.dag.ops.subgraph import Subgraph
    from merlin.io import Dataset
    from merlin.io.dataframe_engine import DataFrameDatasetEngine
    from merlin.io.parquet import ParquetDatasetEngine
    from merlin.io.worker import clean_worker_cache, fetch_table_data, get_worker_cache
    from merlin.schema import ColumnSchema, Schema, Tags
    from nvtabular import ColumnSelector, Workflow, ops
    from nvtabular.ops.operator import Operator

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


def name_of(operator: type) -> str:
    """The operator's name in `nvtabular.ops`: LambdaOp, whose class is `UDF`."""
    names = (name for name, value in vars(ops).items() if value is operator)
    return next(names, operator.__name__)


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
    "Node",
    "Operator",
    "ParquetDatasetEngine",
    "Schema",
    "Serial",
    "StatOperator",
    "Subgraph",
    "Tags",
    "Workflow",
    "clean_worker_cache",
    "concat",
    "dask_config",
    "dask_frames",
    "delayed",
    "distributed",
    "dtypes",
    "encode_list_column",
    "fetch_table_data",
    "get_worker_cache",
    "global_dask_client",
    "grouping",
    "iter_nodes",
    "name_of",
    "ops",
    "selection",
    "set_dask_client",
    "subset_columns",
    "subtraction",
]
