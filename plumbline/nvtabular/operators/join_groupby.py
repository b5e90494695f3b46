"""JoinGroupby: statistics of the training rows that share a key."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from plumbline.base.errors import PlanError
from plumbline.features.operators.join_groupby import FitGroupStatistic, KeyTotals, Statistic
from plumbline.features.statistics.states import KEY
from plumbline.features.steps.chains import Source
from plumbline.features.steps.fit_step import Target
from plumbline.features.steps.step import Step
from plumbline.nvtabular.library import ColumnSelector, ops
from plumbline.nvtabular.operator_call import CompiledOperator, OperatorCall
from plumbline.nvtabular.patching.by_key import Keys, Reads, learned_by_key
from plumbline.nvtabular.patching.columns import as_group, frame_of, key_frame
from plumbline.nvtabular.patching.look_ups import LookUp, rows_of
from plumbline.nvtabular.patching.spilled import Spilled, spill_folder
from plumbline.nvtabular.patching.tables import floats, keyed_step, read_statistics


def join_groupby(at: OperatorCall) -> Source:
    operator = at.operator
    group, measured, statistic = _statistic(at)
    keys = tuple(at.key(name) for name in group)
    step = FitGroupStatistic(
        statistic,
        None if measured is None else at.require(at.dependency(measured), "number", "integer"),
    )

    def read(target: Target) -> Step:
        learned = at.learned_value(operator.categories, operator.name_sep.join(group))
        if isinstance(learned, LookUp):
            return learned.step(target, (measured, statistic))
        table = read_statistics(learned, group)
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
        reads = {
            (group, measured): Reads(
                FitGroupStatistic("count", measured), group, (measured,) if measured else ()
            )
            for group in map(as_group, col_selector.grouped_names)
            for measured in self._measured
        }
        read = partial(_statistics_of, tuple(self.stats))
        return learned_by_key(ddf, reads, read, spill_folder(self.out_path))

    @property
    def _measured(self) -> list[str | None]:
        return list(self.cont_names.names) or [None]

    def fit_finalize(self, pieces: list[Spilled]) -> None:
        folder, first = Path(self.out_path) / "categories", self._measured[0]
        for group in dict.fromkeys(group for group, _ in pieces[0].starts):
            keys = Keys(pieces, (group, first))  # all tables of a group have the same
            values = (
                (
                    (measured, statistic),
                    keys.column((group, measured or first), statistic),
                    0.0 if statistic == "count" else math.nan,
                )
                for measured, statistic in self._statistics()
            )
            joined = self.name_sep.join(group)
            self.categories[joined] = keys.look_up(folder, joined, values)
        shutil.rmtree(spill_folder(self.out_path), ignore_errors=True)

    def transform(self, col_selector: Any, df: Any) -> Any:
        columns = {}
        for group in map(as_group, col_selector.grouped_names):
            look_up: LookUp = self.categories[self.name_sep.join(group)]
            row_B = rows_of(look_up.keys, key_frame(df, group))
            for measured, statistic in self._statistics():
                values = look_up.numbers((measured, statistic))
                columns[self._name(group, measured, statistic)] = values[row_B]
        return frame_of(df, columns)


def _statistics_of(statistics: Sequence[Statistic], accumulated: KeyTotals) -> dict[str, Any]:
    totals = accumulated.totals()
    return {KEY: totals.keys, **{name: totals.statistic(name) for name in statistics}}


OPERATORS = (CompiledOperator(ops.JoinGroupby, join_groupby, JoinGroupby),)
