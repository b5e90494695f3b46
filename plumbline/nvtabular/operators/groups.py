"""Operators that look up what the training rows of a key say: statistics, and encoded targets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from plumbline.base.errors import DataError, PlanError
from plumbline.columns.keys import part_values
from plumbline.features.operators.join_groupby import FitGroupStatistic, Statistic
from plumbline.features.operators.target_encoding import FitTargetEncoding
from plumbline.features.statistics.keyed_value import KeyedValue, by_key
from plumbline.features.statistics.keys import key_array
from plumbline.features.steps.chains import Source
from plumbline.features.steps.fit_step import Target
from plumbline.features.steps.step import Step
from plumbline.nvtabular import patched
from plumbline.nvtabular.operators.operator_call import OperatorCall

_KEYS = ("integer", "text", "ids")


def join_groupby(at: OperatorCall) -> Source:
    group, measured, statistic = _statistic(at)
    keys = tuple(at.wanted(at.source(name), *_KEYS) for name in group)
    step = FitGroupStatistic(
        statistic,
        None if measured is None else at.wanted(at.dependency(measured), "number", "integer"),
    )

    def read(target: Target) -> Step:
        found = _table(at, at.operator.categories, group, at.operator.name_sep.join(group))
        column = at.operator.name_sep.join((*group, *([measured] if measured else []), statistic))
        default = 0.0 if statistic == "count" else None
        return _by_key(target, group, found, _floats(found[column]), default)

    return at.learned(step, read, *keys)


def _statistic(at: OperatorCall) -> tuple[tuple[str, ...], str | None, Statistic]:
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


def target_encoding(at: OperatorCall) -> Source:
    operator = at.operator
    at.float_dtype("out_dtype", operator.out_dtype)
    if not operator.drop_folds and operator.kfold > 1:
        raise at.refuse("drop_folds", False)
    group, measured = _target(at)
    keys = tuple(at.wanted(at.source(name), *_KEYS) for name in group)
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
        joined = operator.name_sep.join(group)
        found = _table(at, operator.stats, group, joined)
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
        total = _floats(found[operator.name_sep.join((*group, measured, "sum"))])
        count = _floats(found[count_of_target])
        values = (total + step.smoothing * overall) / (count + step.smoothing)
        return _by_key(target, group, found, values, overall)

    return at.learned(step, read, *keys)


def _target(at: OperatorCall) -> tuple[tuple[str, ...], str]:
    """Key columns and target of the column that was asked for."""
    targets = at.operator.target_columns
    for place, group in enumerate(at.groups):
        for name, target in zip(
            patched.encoded_names(at.operator, group, place), targets, strict=True
        ):
            if at.output == name:
                return group, target
    raise PlanError(f"Column {at.output!r} is not among those that TargetEncoding gives.")


def _table(
    at: OperatorCall, paths: dict[str, str], group: tuple[str, ...], joined: str
) -> pa.Table:
    """The statistics of every key, in the order of the keys.

    NVTabular's own do not count the rows of a missing key, so that one is left out of them.
    """
    if joined not in paths:
        raise PlanError(f"Column {at.output!r}: {at.name} is not fitted. Fit the workflow first.")
    path = Path(paths[joined])
    files = sorted(path.glob("part.*.parquet")) if path.is_dir() else [path]
    table = pa.concat_tables([pq.read_table(file) for file in files])
    if type(at.operator) not in patched.TWINS.values():
        there = pc.is_valid(table[group[0]])
        for name in group[1:]:
            there = pc.or_(there, pc.is_valid(table[name]))
        table = table.filter(there)
    return table.sort_by([(name, "ascending") for name in group])


def _by_key(
    target: Target,
    group: tuple[str, ...],
    found: pa.Table,
    values: NDArray[np.float64],
    default: float | None,
) -> KeyedValue:
    keys = []
    for name, type_ in zip(group, target.types, strict=True):
        wanted = pa.string() if type_.element == "text" else pa.int64()
        keys.append(part_values(found[name].cast(wanted).combine_chunks()))
    return by_key(target, key_array(keys), values, default)


def _floats(column: pa.ChunkedArray) -> NDArray[np.float64]:
    return np.asarray(column.cast(pa.float64()).fill_null(np.nan), dtype=np.float64)
