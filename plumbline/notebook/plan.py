"""A fitted plan, for frames.

Legend: B rows.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from plumbline.columns.kinds import FeatureKind
from plumbline.columns.value_rules.rules import ValueRules
from plumbline.columns.wire import WireColumns, require_finite, to_tensors
from plumbline.features.encoding.online import OnlineExecutor
from plumbline.features.engine.encoded import encoded_columns
from plumbline.features.plan.plan import OutputColumn, read_plan
from plumbline.notebook.frames import chunks, like
from plumbline.serving.client.tables import to_table


class Plan:
    """A fitted feature plan: a folder that `plumbline.fit` or stage etl of a run has written.

    Parameters
    ----------
    folder
        The plan's folder; that of a run is `RUN/etl/plan`.
    rules
        How the values of text are written, if the log had such settings; the plan of a
        `plumbline.Model` has those of its log.

    Raises
    ------
    PlanError
        The folder is no plan, or a file is missing or was changed.
    """

    def __init__(self, folder: str | os.PathLike[str], *, rules: ValueRules | None = None) -> None:
        self._plan = read_plan(Path(folder))
        self._rules = rules or ValueRules()
        self._executor = OnlineExecutor(self._plan)

    @property
    def folder(self) -> Path:
        """The plan's folder."""
        return self._plan.folder

    @property
    def content_hash(self) -> str:
        """SHA-256 of the plan: of its steps, statistics and vocabularies."""
        return self._plan.content_hash

    @property
    def inputs(self) -> dict[str, FeatureKind]:
        """The raw columns and their kinds, in order."""
        return self._plan.kinds

    @property
    def cardinalities(self) -> Mapping[str, int]:
        """The number of ids of each output that is an id or a list of ids."""
        return {column.name: column.cardinality for column in self._plan.categorical}

    def encode(self, frame: Any) -> Any:
        """Encode the rows of a frame, as the server does.

        Parameters
        ----------
        frame
            A pandas or Polars DataFrame, an Arrow table or record batch, a mapping of column name
            to values, or a list of rows. Columns that the plan does not read are ignored.

        Returns
        -------
        pandas.DataFrame, polars.DataFrame or pyarrow.Table
            Of the same type, Arrow's for what is no frame: one column for each output of the plan,
            in its order. Ids are int64 (0 padding, 1 null, 2 not in the vocabulary), lists of ids
            lists of int64, numbers float32.

        Raises
        ------
        PlanError
            A column is missing, or has a type or a value that does not fit its kind.
        """
        columns = self._executor.columns
        parts = [self._encoded(chunk, columns) for chunk in chunks(to_table(frame, columns.names))]
        schema = _schema(self._plan.outputs)
        return like(frame, pa.concat_tables(parts) if parts else schema.empty_table())

    def _encoded(self, rows: pa.Table, columns: WireColumns) -> pa.Table:
        tensors = to_tensors(rows, columns, self._rules)
        require_finite(tensors, columns)
        schema = _schema(self._plan.outputs)
        encoded = self._executor.transform(tensors)
        return pa.table(encoded_columns(encoded, schema.types), schema=schema)

    def __repr__(self) -> str:
        outputs = ", ".join(column.name for column in self._plan.outputs)
        return f"Plan({str(self.folder)!r}): {', '.join(self.inputs)} → {outputs}"


def _schema(outputs: tuple[OutputColumn, ...]) -> pa.Schema:
    types = {
        "int64": pa.int64(),
        "float32": pa.float32(),
        "list<int64>": pa.large_list(pa.int64()),
    }
    return pa.schema([(column.name, types[column.dtype]) for column in outputs])
