"""JoinGroupby: statistics of the training rows that share a key."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from plumbline.base.errors import PlanError
from plumbline.features.operators.join_groupby import FitGroupStatistic, Statistic
from plumbline.features.steps.chains import Source
from plumbline.features.steps.fit_step import Target
from plumbline.features.steps.step import Step
from plumbline.nvtabular.library import ColumnSelector, ops
from plumbline.nvtabular.operator_call import CompiledOperator, OperatorCall
from plumbline.nvtabular.patching.columns import (
    as_group,
    frame_of,
    key_frame,
    looked_up,
)
from plumbline.nvtabular.patching.learning import Learned, Reads, learned
from plumbline.nvtabular.patching.tables import (
    floats,
    key_table,
    keyed_step,
    read_statistics,
    read_table,
    write_table,
)


def join_groupby(at: OperatorCall) -> Source:
    operator = at.operator
    group, measured, statistic = _statistic(at)
    keys = tuple(at.key(name) for name in group)
    step = FitGroupStatistic(
        statistic,
        None if measured is None else at.require(at.dependency(measured), "number", "integer"),
    )

    def read(target: Target) -> Step:
        path = at.learned_value(operator.categories, operator.name_sep.join(group))
        table = read_statistics(path, group, isinstance(operator, JoinGroupby))
        column = operator.name_sep.join((*group, *([measured] if measured else []), statistic))
        default = 0.0 if statistic == "count" else None
        return keyed_step(target, group, table, floats(table[column]), default)

    return at.fit_step(step, read, *keys)


def _statistic(at: OperatorCall) -> tuple[tuple[str, ...], str | None, Statistic]:
    """The key columns, measured column and statistic of the output column."""
    for group in at.groups:
        prefix = at.operator.name_sep.join(group)
        for statistic in at.operator.stats:
            if at.output == f"{prefix}_{statistic}" and statistic == "count":
                return group, None, statistic
            for measured in at.operator.cont_names.names:
                if at.output == f"{prefix}_{measured}_{statistic}" and statistic != "count":
                    return group, measured, statistic
    raise PlanError(f"Column {at.output!r} is not an output of JoinGroupby.")


class JoinGroupby(ops.JoinGroupby):
    """The statistics that their names promise.

    - A missing key is a key like any other. NVTabular counts none of its rows, and divides by that.
    - Mean, deviation and variance ignore missing numbers. NVTabular divides by all rows.
    - Sums are exact, and rounded once.
    - A key that was never seen has a count of 0, and no other statistic. NVTabular fails.
    - Single columns and groups can be mixed, `count` needs no other column, `min` and `max` need
      no other statistic.
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
        """The measured column and statistic of every output of a group, in order."""
        named = [(c, s) for c in self.cont_names.names for s in self.stats if s != "count"]
        return ([(None, "count")] if "count" in self.stats else []) + named

    def _name(self, group: Sequence[str], measured: str | None, statistic: str) -> str:
        joined = self.name_sep.join(group)
        return f"{joined}_{statistic}" if measured is None else f"{joined}_{measured}_{statistic}"

    def fit(self, col_selector: Any, ddf: Any) -> Any:
        groups = [as_group(name) for name in col_selector.grouped_names]
        return learned(
            ddf,
            {
                (group, measured): Reads(
                    FitGroupStatistic("count", measured), group, (measured,) if measured else ()
                )
                for group in groups
                for measured in self.cont_names.names or [None]
            },
        )

    def fit_finalize(self, dask_stats: dict[tuple[tuple[str, ...], str | None], Learned]) -> None:
        tables: dict[tuple[str, ...], Any] = {}
        for (group, measured), statistics in dask_stats.items():
            totals = statistics.accumulated.totals()
            # All totals of a group have the same ascending keys.
            table = tables.setdefault(group, key_table(group, totals.keys, statistics.types))
            for name, statistic in self._statistics():
                if name in (None, measured):
                    table[self._column(group, name, statistic)] = totals.statistic(statistic)
        for group, table in tables.items():
            joined = self.name_sep.join(group)
            self.categories[joined] = write_table(table, Path(self.out_path), joined)

    def _column(self, group: Sequence[str], measured: str | None, statistic: str) -> str:
        """The name of a statistic in NVTabular's files."""
        middle = [] if measured is None else [measured]
        return str(self.name_sep.join([*group, *middle, statistic]))

    def transform(self, col_selector: Any, df: Any) -> Any:
        columns = {}
        for group in map(as_group, col_selector.grouped_names):
            table = read_table(self.categories[self.name_sep.join(group)], df)
            statistics = looked_up(key_frame(df, group), table, group)
            for measured, statistic in self._statistics():
                values = statistics[self._column(group, measured, statistic)]
                name = self._name(group, measured, statistic)
                columns[name] = values.fillna(0.0) if statistic == "count" else values
        return frame_of(df, columns)


OPERATORS = (CompiledOperator(ops.JoinGroupby, join_groupby, JoinGroupby),)
