"""TargetEncoding: the smoothed mean of a target over the training rows that share a key."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from plumbline.base.errors import DataError, PlanError
from plumbline.features.operators.target_encoding import (
    FitTargetEncoding,
    TargetTotals,
    folds_of,
)
from plumbline.features.statistics.states import KEY
from plumbline.features.steps.chains import Source
from plumbline.features.steps.fit_step import Target
from plumbline.features.steps.step import Step
from plumbline.nvtabular.library import ops
from plumbline.nvtabular.operator_call import CompiledOperator, OperatorCall
from plumbline.nvtabular.patching.by_key import Keys, Reads, learned_by_key
from plumbline.nvtabular.patching.columns import as_group, frame_of, key_frame
from plumbline.nvtabular.patching.executor import partition_number
from plumbline.nvtabular.patching.look_ups import LookUp, rows_of
from plumbline.nvtabular.patching.spilled import Spilled, concatenated, spill_folder
from plumbline.nvtabular.patching.tables import floats, keyed_step, read_statistics

EVERY = -1
"""In place of a fold: the rows of all folds. Otherwise, the rows of all folds but that one."""

_FOLD_ROWS = 1 << 16


def target_encoding(at: OperatorCall) -> Source:
    operator = at.operator
    at.require_float_dtype("out_dtype", operator.out_dtype)
    if not operator.drop_folds and operator.kfold > 1:
        raise at.unsupported_parameter("drop_folds", False)
    group, measured = _target(at)
    keys = tuple(at.key(name) for name in group)
    mean = operator.target_mean
    if isinstance(mean, dict):
        if measured not in mean:
            raise at.unsupported_parameter("target_mean", mean)
        mean = mean[measured]
    step = FitTargetEncoding(
        target=at.require(at.dependency(measured), "number", "integer"),
        smoothing=at.number("p_smooth", operator.p_smooth),
        folds=at.count("kfold", operator.kfold),
        seed=at.count("fold_seed", operator.fold_seed or 0, 0),
        mean=None if mean is None else at.number("target_mean", mean),
    )
    if step.smoothing < 0:
        raise at.unsupported_parameter("p_smooth", operator.p_smooth)

    def read(target: Target) -> Step:
        overall = step.mean if step.mean is not None else operator.means[measured]
        if not np.isfinite(overall):
            raise DataError(
                f"Column {at.output!r}: the target's mean in the training split is {overall}. "
                "Choose another target, or leave the column out."
            )
        if isinstance(operator, TargetEncoding):
            look_up: LookUp = at.learned_value(operator.stats, _key(*group, measured))
            return look_up.step(target, EVERY)
        table, count, total = _sums(at, group, measured)
        return keyed_step(target, group, table, step.smoothed(count, total, overall), overall)

    return at.fit_step(step, read, *keys)


def _sums(
    at: OperatorCall, group: tuple[str, ...], measured: str
) -> tuple[pa.Table, NDArray[np.float64], NDArray[np.float64]]:
    """NVTabular's table of the keys, and the number and the sum of their targets."""
    joined = at.operator.name_sep.join
    # NVTabular counts rows, with or without a target.
    count, total = joined((*group, "count")), joined((*group, measured, "sum"))
    table = read_statistics(at.learned_value(at.operator.stats, joined(group)), group)
    table = table.filter(pc.greater(table[count], 0))
    return table, floats(table[count]), floats(table[total])


def _target(at: OperatorCall) -> tuple[tuple[str, ...], str]:
    """The key columns and the target of the output column."""
    targets = at.operator.target_columns
    for index, group in enumerate(at.groups):
        for name, target in zip(_output_names(at.operator, group, index), targets, strict=True):
            if at.output == name:
                return group, target
    raise PlanError(f"Column {at.output!r} is not an output of TargetEncoding.")


class TargetEncoding(ops.TargetEncoding):
    """The encoding that NVTabular's documentation describes.

    - Only training rows are encoded out of fold (if `training` is set). NVTabular draws folds for
      validation and serving rows too.
    - A missing key is a key like any other. NVTabular counts none of its rows.
    - Rows without a target are not counted, and sums are exact. NVTabular's sums of an int8 click
      wrap.
    - `target_mean` and `out_col` work.
    """

    training = False

    starts: tuple[int, ...] = ()
    """The row of the split that each partition begins with; empty if each begins with row 0."""

    def column_mapping(self, col_selector: Any) -> dict[str, list[str]]:
        mapping = {}
        for index, group in enumerate(map(as_group, col_selector.grouped_names)):
            names = _output_names(self, group, index)
            for name, target in zip(names, self.target_columns, strict=True):
                mapping[name] = [target, *group]
        return mapping

    def fit(self, col_selector: Any, ddf: Any) -> Any:
        groups = [as_group(name) for name in col_selector.grouped_names]
        reads = {
            (group, target): Reads(self._step(target), group, (target,))
            for group in [(), *groups]  # without a key, for the mean
            for target in self.target_columns
        }
        add = partial(_add, self.fold_seed or 0, max(self.kfold, 1), self.starts)
        return learned_by_key(ddf, reads, _sums_of, spill_folder(self.out_path), add)

    def _step(self, target: str) -> FitTargetEncoding:
        """The step to accumulate for; its mean does not matter for that."""
        return FitTargetEncoding(target, self.p_smooth, max(self.kfold, 1), self.fold_seed or 0)

    @property
    def _folds(self) -> list[int]:
        """The folds, and `EVERY`, that rows are encoded without."""
        return [EVERY, *(range(self.kfold) if self.kfold > 1 else ())]

    def fit_finalize(self, pieces: list[Spilled]) -> None:
        for group, target in pieces[0].starts:
            if not group:
                self.means[target] = _mean_of([piece.table((group, target)) for piece in pieces])
                continue
            keys, mean = Keys(pieces, (group, target)), self._mean(target)
            values = (
                (fold, self._smoothed(keys, group, target, fold), mean) for fold in self._folds
            )
            key = _key(*group, target)
            self.stats[key] = keys.look_up(Path(self.out_path) / "categories", key, values)
        shutil.rmtree(spill_folder(self.out_path), ignore_errors=True)

    def _smoothed(
        self, keys: Keys, group: tuple[str, ...], target: str, fold: int
    ) -> NDArray[np.float64]:
        count, total = (keys.column((group, target), name) for name in _columns(fold))
        return self._step(target).smoothed(count, total, self._mean(target))

    def transform(self, col_selector: Any, df: Any) -> Any:
        columns = {}
        for index, group in enumerate(map(as_group, col_selector.grouped_names)):
            names = _output_names(self, group, index)
            for name, target in zip(names, self.target_columns, strict=True):
                columns[name] = self._encoded(
                    self.stats[_key(*group, target)], key_frame(df, group)
                )
        return frame_of(df, columns)

    def _encoded(self, look_up: LookUp, keys: Any) -> NDArray[np.float64]:
        """The value of every row's key, (B,); for training rows, without the row's own fold."""
        row_B = rows_of(look_up.keys, keys)
        if not self.training or self.kfold <= 1:
            return look_up.numbers(EVERY)[row_B]
        first = self.starts[partition_number()] if self.starts else 0
        fold_B = _folds_from(self.fold_seed or 0, self.kfold, first, len(row_B))
        by_fold = np.stack([look_up.numbers(fold)[row_B] for fold in range(self.kfold)])
        return np.asarray(by_fold[fold_B, np.arange(len(row_B))])

    def _compute_tags(self, col_schema: Any, input_schema: Any) -> Any:
        """NVTabular keeps the target's tags too, which fails if it is tagged as categorical."""
        return col_schema.with_tags(self.output_tags)

    def _mean(self, target: str) -> float:
        given = self.target_mean
        if given is None:
            return float(self.means[target])
        return float(given[target] if isinstance(given, dict) else given)


def _add(
    seed: int, folds: int, starts: Sequence[int], accumulated: Any, number: int, values: Any
) -> None:
    """Add a partition to the totals, each row in the fold of its place in the split."""
    first = starts[number] if starts else 0
    accumulated.add_in_folds(_folds_from(seed, folds, first, len(values[-1])), values)


def _columns(fold: int) -> tuple[str, str]:
    """The columns of the number and the sum of the targets outside of a fold, or of `EVERY` row."""
    return f"count {fold}", f"sum {fold}"


def _sums_of(accumulated: TargetTotals) -> dict[str, Any]:
    sums = accumulated.sums()
    columns = {KEY: sums.keys, **dict(zip(_columns(EVERY), sums.by_key(), strict=True))}
    counts, totals = sums.out_of_fold()
    for fold, of_fold in enumerate(zip(counts.T, totals.T, strict=True)):
        columns |= dict(zip(_columns(fold), of_fold, strict=True))
    return columns


def _mean_of(pieces: Sequence[pa.Table]) -> float:
    """The mean of all targets, which have one key; NaN without one."""
    count, total = (np.asarray(concatenated(pieces)[name]) for name in _columns(EVERY))
    return float(total[0] / count[0]) if len(count) else math.nan


def _folds_from(seed: int, folds: int, first: int, rows: int) -> NDArray[np.int64]:
    """The folds of the rows of a split from `first` on, (rows,), however it is partitioned.

    They are drawn for chunks of `_FOLD_ROWS` rows of the split.
    """
    chunks = range(first // _FOLD_ROWS, (first + rows) // _FOLD_ROWS + 1)
    drawn = [folds_of(seed, folds, chunk, _FOLD_ROWS) for chunk in chunks]
    return np.concatenate(drawn)[first % _FOLD_ROWS :][:rows]


def _key(*names: str) -> str:
    """The key of a patched operator's file; NVTabular joins the names by `name_sep`."""
    return "\x1f".join(names)


def _output_names(operator: Any, group: Sequence[str], index: int) -> list[str]:
    """The names of a TargetEncoding's outputs for its group `index`, one per target."""
    if operator.out_col is None:
        joined = operator.name_sep.join(group)
        return [f"TE_{joined}_{target}" for target in operator.target_columns]
    names = operator.out_col[index]
    return [names] if isinstance(names, str) else list(names)


OPERATORS = (CompiledOperator(ops.TargetEncoding, target_encoding, TargetEncoding),)
