"""Fit a workflow on a frame."""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from plumbline.base.errors import DataError, PlanError
from plumbline.columns.from_arrow import frame_from_arrow
from plumbline.columns.kinds import CLICK, FeatureKind
from plumbline.columns.rows import TRAIN, Chunk, Rows
from plumbline.columns.value_rules.convert import convert_column
from plumbline.columns.value_rules.converted import ColumnRefused
from plumbline.columns.value_rules.raw_columns import values_of_raw
from plumbline.columns.value_rules.rules import ValueRules
from plumbline.features.engine.encoded import emptied, require_rows
from plumbline.features.fitting.conditions import kept
from plumbline.features.fitting.fit import fit as fit_plan
from plumbline.features.fitting.nodes import nodes
from plumbline.features.plan.plan import write_plan
from plumbline.features.plan.unfitted import UnfittedPlan
from plumbline.notebook.frames import chunks, column_names, kinds_of
from plumbline.notebook.plan import Plan
from plumbline.serving.client.tables import to_table
from plumbline.settings.data import Label

if TYPE_CHECKING:
    from plumbline.nvtabular.library import Node, Workflow


def fit(
    workflow: Workflow | Node,
    frame: Any,
    *,
    click: str = CLICK,
    kinds: Mapping[str, FeatureKind] | None = None,
    folder: str | os.PathLike[str] | None = None,
) -> Plan:
    """Fit a workflow on the training rows of a frame, as stage etl of a run does.

    Parameters
    ----------
    workflow
        An NVTabular workflow that is not fitted, or its last node. It stays as it is.
    frame
        A pandas or Polars DataFrame, an Arrow table or record batch, a mapping of column name to
        values, or a list of rows.
    click
        The column of labels, 0 or 1; by default `click`. It is read if an operator learns from
        clicks, which a graph calls `click` whatever the column's name is.
    kinds
        The kinds of columns whose types do not say them: `{"user": "integer"}` for ids in a float
        column of pandas, `{"C1": "hex"}` for hexadecimal text.
    folder
        A new or empty folder to write the plan into. None: a temporary one, which is removed with
        the last reference to the plan.

    Returns
    -------
    Plan
        The fitted plan, read from its folder.

    Raises
    ------
    UnsupportedOperator
        An operator, a parameter, or an order of operators has no compiled form.
    PlanError
        The workflow reads a column that the frame lacks or whose type fits no kind, or a value does
        not fit its kind, or the folder is not empty.
    DataError
        There are no rows, a label is neither 0 nor 1, or a statistic is not finite.
    """
    # Imported here because NVTabular takes seconds to import, and plans and models do without.
    from plumbline.nvtabular.columns import columns_read
    from plumbline.nvtabular.compile import compile_unfitted
    from plumbline.nvtabular.library import Node, Workflow

    if isinstance(workflow, Node):
        workflow = Workflow(workflow)
    names = column_names(frame)
    selected = columns_read(workflow)
    read = [name for name in names if name != click and name in selected]
    given = {name: kind for name, kind in (kinds or {}).items() if name in read}
    plan = compile_unfitted(workflow, {**kinds_of(frame, read), **given})
    label = _label(plan, names, click)
    columns = {column.name: column.kind for column in plan.inputs}
    source = _Frame(to_table(frame, [*columns, *([label] if label else [])]), columns, label)
    require_rows(source.splits[TRAIN])
    if folder is not None:
        return _fitted(plan, source, _new(Path(folder)))
    temporary = tempfile.TemporaryDirectory(prefix="plumbline-plan-")
    fitted = _fitted(plan, source, Path(temporary.name))
    weakref.finalize(fitted, temporary.cleanup)
    return fitted


def _fitted(plan: UnfittedPlan, source: _Frame, folder: Path) -> Plan:
    rows = kept(source, plan.conditions)
    fitted = fit_plan(plan, rows, folder, lambda _: None)
    write_plan(folder, plan.inputs, fitted.outputs, plan.conditions)
    return Plan(folder)


def _new(folder: Path) -> Path:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise PlanError(f"{folder}: wanted a new or empty folder for the plan, it has files.")
    return emptied(folder)


def _label(plan: UnfittedPlan, names: Sequence[str], click: str) -> str | None:
    """The column of labels; None if the frame has none and no operator learns from clicks."""
    if click in names:
        return click
    fits = nodes([column.chain for column in plan.outputs])
    read = [source for node in fits for source in node.reads] + list(plan.conditions)
    if any(CLICK in ([s] if isinstance(s, str) else s.columns) for s in read):
        raise PlanError(
            f"The workflow learns from clicks, but the frame has no column {click!r}. Name the "
            "column of labels: fit(…, click=NAME)."
        )
    return None


@dataclass(frozen=True, slots=True)
class _Frame:
    """A table as the training rows of a `RowSource`."""

    table: pa.Table
    kinds: Mapping[str, FeatureKind]
    label: str | None

    @property
    def splits(self) -> dict[str, int]:
        return {TRAIN: len(self.table)}

    def chunks(self, split: str) -> Iterator[Chunk]:
        for table in chunks(self.table):
            yield partial(_rows, table, self.kinds, self.label)


def _rows(table: pa.Table, kinds: Mapping[str, FeatureKind], label: str | None) -> Rows:
    rules = ValueRules()
    with np.errstate(over="ignore"):  # a number that is infinite in float32 is refused
        columns = {name: values_of_raw(name, table[name], kinds[name], rules) for name in kinds}
    return Rows(columns, np.zeros(len(table), np.int8) if label is None else _clicks(table, label))


def _clicks(table: pa.Table, label: str) -> NDArray[np.int8]:
    series = frame_from_arrow(table.select([label]))[label]
    try:
        converted = convert_column(series, "label", ValueRules(), Label())
    except ColumnRefused as error:
        raise DataError(f"The labels cannot be read: {error}.") from None
    wrong = np.flatnonzero(converted.malformed)
    if wrong.size:
        found = series[int(wrong[0])]
        raise DataError(f"Column {label!r}: wanted {converted.wanted}, got {found!r}.")
    return converted.value.to_numpy().astype(np.int8)
