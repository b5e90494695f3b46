"""TargetEncoding: the smoothed mean of a target over the training rows that share a key."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc

from plumbline.base.errors import DataError, PlanError
from plumbline.features.operators.target_encoding import FitTargetEncoding
from plumbline.features.steps.chains import Source
from plumbline.features.steps.fit_step import Target
from plumbline.features.steps.step import Step
from plumbline.nvtabular.library import concat, ops
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

FOLD = "\x1ffold"


def target_encoding(at: OperatorCall) -> Source:
    operator = at.operator
    at.float_dtype("out_dtype", operator.out_dtype)
    if not operator.drop_folds and operator.kfold > 1:
        raise at.refuse("drop_folds", False)
    group, measured = _target(at)
    keys = tuple(at.wanted(at.source(name), "integer", "text", "ids") for name in group)
    mean = operator.target_mean
    if isinstance(mean, dict):
        if measured not in mean:
            raise at.refuse("target_mean", mean)
        mean = mean[measured]
    step = FitTargetEncoding(
        target=at.wanted(at.dependency(measured), "number", "integer"),
        smoothing=at.number("p_smooth", operator.p_smooth),
        folds=at.count("kfold", operator.kfold),
        seed=at.count("fold_seed", operator.fold_seed or 0, 0),
        mean=None if mean is None else at.number("target_mean", mean),
    )
    if step.smoothing < 0:
        raise at.refuse("p_smooth", operator.p_smooth)

    def read(target: Target) -> Step:
        path = at.learned_value(operator.stats, operator.name_sep.join(group))
        found = read_statistics(path, group, isinstance(operator, TargetEncoding))
        overall = step.mean if step.mean is not None else operator.means[measured]
        if not np.isfinite(overall):
            raise DataError(
                f"Column {at.output!r}: the target's mean in the training split is {overall}, so "
                "nothing can be encoded by it."
            )
        count_of_target = operator.name_sep.join((*group, measured, "count"))
        if count_of_target not in found.column_names:  # NVTabular counts rows, for all targets
            count_of_target = operator.name_sep.join((*group, "count"))
        found = found.filter(pc.greater(found[count_of_target], 0))
        total = floats(found[operator.name_sep.join((*group, measured, "sum"))])
        count = floats(found[count_of_target])
        values = (total + step.smoothing * overall) / (count + step.smoothing)
        return keyed_step(target, group, found, values, overall)

    return at.learned(step, read, *keys)


def _target(at: OperatorCall) -> tuple[tuple[str, ...], str]:
    """Key columns and target of the column that was asked for."""
    targets = at.operator.target_columns
    for place, group in enumerate(at.groups):
        for name, target in zip(encoded_names(at.operator, group, place), targets, strict=True):
            if at.output == name:
                return group, target
    raise PlanError(f"Column {at.output!r} is not among those that TargetEncoding gives.")


class TargetEncoding(ops.TargetEncoding):
    """The encoding that NVTabular's documentation describes.

    - Only rows of the training split are encoded out of fold (where `training` is set): NVTabular
      draws folds for validation and serving rows, too.
    - A missing key is a key like any other: NVTabular counts none of its rows.
    - The count is of the targets that are there, and sums are float64: those of an int8 click wrap.
    - `target_mean` and `out_col` work.
    """

    training = False

    def column_mapping(self, col_selector: Any) -> dict[str, list[str]]:
        mapping = {}
        for place, group in enumerate(map(as_group, col_selector.grouped_names)):
            names = encoded_names(self, group, place)
            for name, target in zip(names, self.target_columns, strict=True):
                mapping[name] = [target, *group]
        return mapping

    def fit(self, col_selector: Any, ddf: Any) -> Any:
        groups = [as_group(name) for name in col_selector.grouped_names]
        learn = partial(_learned, groups, list(self.target_columns), self._folds)
        return reduced(ddf, learn, _merged)

    def _folds(self, rows: int) -> Any:
        """The fold of every row of a partition."""
        if self.kfold <= 1:
            return np.zeros(rows, np.int64)
        if self.fold_seed is None:
            return np.arange(rows) % self.kfold
        return np.random.RandomState(self.fold_seed).choice(self.kfold, rows)

    def fit_finalize(self, dask_stats: dict[tuple[str, ...], Any]) -> None:
        for target in self.target_columns:
            every = next(iter(dask_stats.values()))
            count = float(every[_of(target, "count")].sum())
            total = float(every[_of(target, "sum")].sum())
            self.means[target] = total / count if count else float("nan")
        for group, by_fold in dask_stats.items():
            every = by_fold.drop(columns=[FOLD]).groupby(list(group), dropna=False, sort=False)
            joined = self.name_sep.join(group)
            self.stats[joined] = write_table(
                self._named(every.sum().reset_index(), group), Path(self.out_path), joined
            )
            joined = self.name_sep.join([FOLD, *group])
            self.stats[joined] = write_table(
                self._named(by_fold, group), Path(self.out_path), joined
            )

    def _named(self, table: Any, group: Sequence[str]) -> Any:
        return table.rename(
            columns={
                _of(target, part): self._column(group, target, part)
                for target in self.target_columns
                for part in ("count", "sum")
            }
        )

    def _column(self, group: Sequence[str], target: str, part: str) -> str:
        return str(self.name_sep.join([*group, target, part]))

    def transform(self, col_selector: Any, df: Any) -> Any:
        columns = {}
        for place, group in enumerate(map(as_group, col_selector.grouped_names)):
            found = self._found(df, group)
            names = encoded_names(self, group, place)
            for name, target in zip(names, self.target_columns, strict=True):
                count, total = (found[self._column(group, target, p)] for p in ("count", "sum"))
                mean = self._mean(target)
                smoothed = (total + self.p_smooth * mean) / (count + self.p_smooth)
                columns[name] = smoothed.fillna(mean)
        return frame_of(df, columns)

    def _found(self, df: Any, group: Sequence[str]) -> Any:
        """Count and sum of every row's key; of training rows without those of its own fold."""
        wanted = key_frame(df, group)
        every = read_table(self.stats[self.name_sep.join(group)], df)
        found = looked_up(wanted, every, group)
        if not self.training or self.kfold <= 1:
            return found
        wanted[FOLD] = self._folds(len(df))
        by_fold = read_table(self.stats[self.name_sep.join([FOLD, *group])], df)
        return found - looked_up(wanted, by_fold, [*group, FOLD])[list(found.columns)]

    def _compute_tags(self, col_schema: Any, input_schema: Any) -> Any:
        """NVTabular adds them to the target's, which fails on one that is tagged as categorical."""
        return col_schema.with_tags(self.output_tags)

    def _mean(self, target: str) -> float:
        given = self.target_mean
        if given is None:
            return float(self.means[target])
        return float(given[target] if isinstance(given, dict) else given)


def encoded_names(operator: Any, group: Sequence[str], place: int) -> list[str]:
    """The names of the columns that a TargetEncoding makes of a group, one a target."""
    if operator.out_col is None:
        joined = operator.name_sep.join(group)
        return [f"TE_{joined}_{target}" for target in operator.target_columns]
    names = operator.out_col[place]
    return [names] if isinstance(names, str) else list(names)


def _learned(
    groups: Sequence[tuple[str, ...]], targets: Sequence[str], folds: Any, df: Any
) -> dict[tuple[str, ...], Any]:
    """Group to a frame: of each key and fold how many targets there are, and their sum."""
    found = {}
    for group in groups:
        frame = key_frame(df, group)
        frame[FOLD] = folds(len(df))
        for target in targets:
            values = numbers(df[target])
            frame[_of(target, "count")] = values.notna().astype(np.float64)
            frame[_of(target, "sum")] = values.fillna(0.0)
        found[group] = frame.groupby([*group, FOLD], dropna=False, sort=False).sum().reset_index()
    return found


def _merged(parts: list[dict[tuple[str, ...], Any]]) -> dict[tuple[str, ...], Any]:
    merged = {}
    for group in parts[0]:
        frame = concat([part[group] for part in parts], ignore_index=True)
        by = frame.groupby([*group, FOLD], dropna=False, sort=False)
        merged[group] = by.sum().reset_index()
    return merged


def _of(target: str, part: str) -> str:
    return f"__{part}__{target}"


OPERATORS = (CompiledOperator(ops.TargetEncoding, target_encoding, TargetEncoding),)
