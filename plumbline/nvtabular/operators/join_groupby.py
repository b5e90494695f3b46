"""JoinGroupby: statistics of the training rows that share a key."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from plumbline.base.errors import PlanError
from plumbline.features.operators.join_groupby import FitGroupStatistic, Statistic
from plumbline.features.steps.chains import Source
from plumbline.features.steps.fit_step import Target
from plumbline.features.steps.step import Step
from plumbline.nvtabular.library import ColumnSelector, concat, ops
from plumbline.nvtabular.operator_call import CompiledOperator, OperatorCall
from plumbline.nvtabular.patching.columns import (
    as_group,
    frame_of,
    key_frame,
    looked_up,
    numbers,
)
from plumbline.nvtabular.patching.reductions import reduced
from plumbline.nvtabular.patching.tables import (
    floats,
    keyed_step,
    read_statistics,
    read_table,
    write_table,
)

ROWS = "\x1frows"


def join_groupby(at: OperatorCall) -> Source:
    operator = at.operator
    group, measured, statistic = _wanted(at)
    keys = tuple(at.wanted(at.source(name), "integer", "text", "ids") for name in group)
    step = FitGroupStatistic(
        statistic,
        None if measured is None else at.wanted(at.dependency(measured), "number", "integer"),
    )

    def read(target: Target) -> Step:
        path = at.learned_value(operator.categories, operator.name_sep.join(group))
        found = read_statistics(path, group, isinstance(operator, JoinGroupby))
        column = operator.name_sep.join((*group, *([measured] if measured else []), statistic))
        default = 0.0 if statistic == "count" else None
        return keyed_step(target, group, found, floats(found[column]), default)

    return at.learned(step, read, *keys)


def _wanted(at: OperatorCall) -> tuple[tuple[str, ...], str | None, Statistic]:
    """Key columns, measured column and statistic of the column that was asked for."""
    for group in at.groups:
        prefix = at.operator.name_sep.join(group)
        for statistic in at.operator.stats:
            if at.output == f"{prefix}_{statistic}" and statistic == "count":
                return group, None, statistic
            for measured in at.operator.cont_names.names:
                if at.output == f"{prefix}_{measured}_{statistic}" and statistic != "count":
                    return group, measured, statistic
    raise PlanError(f"Column {at.output!r} is not among those that JoinGroupby gives.")


class JoinGroupby(ops.JoinGroupby):
    """The statistics that NVTabular's names promise.

    - A missing key is a key like any other: NVTabular counts none of its rows, and divides by that.
    - Mean, deviation and variance are of the numbers that are there: NVTabular divides their sum by
      the number of rows, missing numbers included.
    - Sums are float64, and variances of distances from the mean.
    - A key that was never seen has a count of 0, and no other statistic: NVTabular fails.
    - Single columns and groups of them may stand together, and `count` alone is possible.
    """

    @property
    def cont_names(self) -> Any:
        names = super().cont_names if self.cont_cols else ColumnSelector()
        return names if isinstance(names, ColumnSelector) else ColumnSelector(list(names))

    def column_mapping(self, col_selector: Any) -> dict[str, list[str]]:
        mapping = {}
        for group in map(as_group, col_selector.grouped_names):
            for measured, statistic in self._statistics():
                sources = [*group] if measured is None else [measured, *group]
                mapping[self._name(group, measured, statistic)] = sources
        return mapping

    def _statistics(self) -> list[tuple[str | None, str]]:
        """Measured column and statistic of every column of a group, in order."""
        named = [(c, s) for c in self.cont_names.names for s in self.stats if s != "count"]
        return ([(None, "count")] if "count" in self.stats else []) + named

    def _name(self, group: Sequence[str], measured: str | None, statistic: str) -> str:
        joined = self.name_sep.join(group)
        return f"{joined}_{statistic}" if measured is None else f"{joined}_{measured}_{statistic}"

    def fit(self, col_selector: Any, ddf: Any) -> Any:
        groups = [as_group(name) for name in col_selector.grouped_names]
        measured = list(self.cont_names.names)
        return reduced(ddf, partial(_learned, groups, measured), partial(_merged, measured))

    def fit_finalize(self, dask_stats: dict[tuple[str, ...], Any]) -> None:
        for group, found in dask_stats.items():
            table = found[list(group)].copy()
            for measured, statistic in self._statistics():
                column = self._column(group, measured, statistic)
                table[column] = _statistic(found, measured, statistic)
            joined = self.name_sep.join(group)
            self.categories[joined] = write_table(table, Path(self.out_path), joined)

    def _column(self, group: Sequence[str], measured: str | None, statistic: str) -> str:
        """The name that NVTabular has for a statistic in its files."""
        middle = [] if measured is None else [measured]
        return str(self.name_sep.join([*group, *middle, statistic]))

    def transform(self, col_selector: Any, df: Any) -> Any:
        columns = {}
        for group in map(as_group, col_selector.grouped_names):
            table = read_table(self.categories[self.name_sep.join(group)], df)
            found = looked_up(key_frame(df, group), table, group)
            for measured, statistic in self._statistics():
                values = found[self._column(group, measured, statistic)]
                name = self._name(group, measured, statistic)
                columns[name] = values.fillna(0.0) if statistic == "count" else values
        return frame_of(df, columns)


def _learned(
    groups: Sequence[tuple[str, ...]], measured: Sequence[str], df: Any
) -> dict[tuple[str, ...], Any]:
    """Group to a frame: of each key the rows, and of each measured column what it is reduced to."""
    found = {}
    for group in groups:
        frame = key_frame(df, group)
        frame[ROWS] = 1.0
        for name in measured:
            values = numbers(df[name])
            frame[_of(name, "number")] = values.notna().astype(np.float64)
            frame[_of(name, "sum")] = values.fillna(0.0)
            frame[_of(name, "min")] = frame[_of(name, "max")] = values
        found[group] = _totals(frame, group, measured)
        for name in measured:
            mean = looked_up(frame[list(group)], found[group], group)
            mean = mean[_of(name, "sum")] / mean[_of(name, "number")]
            frame[_of(name, "squares")] = ((numbers(df[name]) - mean) ** 2).fillna(0.0)
        found[group] = _totals(frame, group, measured)
    return found


def _merged(
    measured: Sequence[str], parts: list[dict[tuple[str, ...], Any]]
) -> dict[tuple[str, ...], Any]:
    """Chan, Golub and LeVeque (1983): squared distances from the common mean."""
    merged = {}
    for group in parts[0]:
        frame = concat([part[group] for part in parts], ignore_index=True)
        totals = looked_up(frame, _totals(frame, group, measured), group)
        for name in measured:
            number = frame[_of(name, "number")]
            mean = frame[_of(name, "sum")] / number
            common = totals[_of(name, "sum")] / totals[_of(name, "number")]
            apart = (number * (mean - common) ** 2).fillna(0.0)
            frame[_of(name, "squares")] = frame[_of(name, "squares")] + apart
        merged[group] = _totals(frame, group, measured)
    return merged


def _totals(frame: Any, group: Sequence[str], measured: Sequence[str]) -> Any:
    """One row a key."""
    reductions = {ROWS: "sum"}
    for name in measured:
        for part in ("number", "sum", "squares", "min", "max"):
            if _of(name, part) in frame.columns:
                reductions[_of(name, part)] = part if part in ("min", "max") else "sum"
    return frame.groupby(list(group), dropna=False, sort=False).agg(reductions).reset_index()


def _statistic(found: Any, measured: str | None, statistic: str) -> Any:
    """float64, one a key; missing where there is none."""
    if measured is None:
        return found[ROWS]
    number, total = found[_of(measured, "number")], found[_of(measured, "sum")]
    if statistic in ("var", "std"):
        variance = (found[_of(measured, "squares")] / (number - 1)).where(number > 1)
        return variance**0.5 if statistic == "std" else variance
    if statistic == "mean":
        return (total / number).where(number > 0)
    return found[_of(measured, statistic)]


def _of(measured: str, part: str) -> str:
    return f"__{part}__{measured}"


OPERATORS = (CompiledOperator(ops.JoinGroupby, join_groupby, JoinGroupby),)
