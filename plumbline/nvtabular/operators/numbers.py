"""Operators on continuous columns: fill, clip, logarithm, normalize."""

from __future__ import annotations

import math

from plumbline.base.errors import DataError, PlanError
from plumbline.features.operators.clip import Clip
from plumbline.features.operators.fill_median import FitMedian
from plumbline.features.operators.fill_missing import FillMissing
from plumbline.features.operators.is_missing import IsMissing
from plumbline.features.operators.log import Log
from plumbline.features.operators.normalize import FitNormalize, Normalize
from plumbline.features.operators.normalize_min_max import FitNormalizeMinMax, NormalizeMinMax
from plumbline.features.steps.chains import Source
from plumbline.features.steps.fit_step import Target
from plumbline.features.steps.step import Step
from plumbline.nvtabular.operators.operator_call import OperatorCall

FILLED = "_filled"
"""The end of the name of a column that says which values of another one were filled."""


def fill_missing(at: OperatorCall) -> Source:
    filled = _filled(at)
    if filled is not None:
        return filled
    value = at.number("fill_val", at.operator.fill_val)
    return at.step(FillMissing(value), at.numbers(at.output))


def fill_median(at: OperatorCall) -> Source:
    filled = _filled(at)
    if filled is not None:
        return filled
    column = at.output

    def read(target: Target) -> Step:
        median = _learned(at.operator.medians, column, at.name)
        if not math.isfinite(median):
            raise DataError(
                f"Column {column!r}: its median in the training split is {median}. Fill it with a "
                "number, or leave it out."
            )
        return FillMissing(median)

    return at.learned(FitMedian(), read, at.numbers(column))


def _filled(at: OperatorCall) -> Source | None:
    """The 0/1 column, if it is the one that was asked for."""
    if not at.operator.add_binary_cols:
        return None
    for column in at.inputs:
        if column + FILLED in at.inputs:
            raise at.unsupported(
                f"{at.name}(add_binary_cols=True) on both {column!r} and {column + FILLED!r}"
            )
        if at.output == column + FILLED:
            return at.step(IsMissing(), at.numbers(column))
    return None


def clip(at: OperatorCall) -> Source:
    bounds = {"min_value": at.operator.min_value, "max_value": at.operator.max_value}
    minimum, maximum = (
        None if value is None else at.number(parameter, value)
        for parameter, value in bounds.items()
    )
    return at.step(Clip(minimum, maximum), at.numbers(at.output))


def log(at: OperatorCall) -> Source:
    return at.step(Log(), at.numbers(at.output))


def normalized(at: OperatorCall) -> Source:
    at.float_dtype("out_dtype", at.operator.out_dtype)
    column = at.output

    def read(target: Target) -> Step:
        mean = _learned(at.operator.means, column, at.name)
        deviation = float(at.operator.stds[column])
        # NVTabular only centres where the deviation is 0, or not a number as for a single row.
        return Normalize.by(target.columns, mean, 0.0 if math.isnan(deviation) else deviation)

    return at.learned(FitNormalize(), read, at.numbers(column))


def normalized_by_bounds(at: OperatorCall) -> Source:
    at.float_dtype("out_dtype", at.operator.out_dtype)
    column = at.output

    def read(target: Target) -> Step:
        minimum = _learned(at.operator.mins, column, at.name)
        maximum = float(at.operator.maxs[column])
        if not math.isfinite(minimum) or not math.isfinite(maximum):
            raise DataError(
                f"Column {column!r}: its numbers in the training split are from {minimum} to "
                f"{maximum}, and none can be brought between 0 and 1 by them. Clip the column, "
                "fill its missing values, or leave it out."
            )
        return NormalizeMinMax(minimum, maximum)

    return at.learned(FitNormalizeMinMax(), read, at.numbers(column))


def reduced(at: OperatorCall) -> Source:
    """Only the type in which NVTabular stores the column: the plan has its own."""
    at.float_dtype("float_dtype", at.operator.float_dtype)
    return at.source(at.output)


def _learned(statistics: dict[str, float], column: str, name: str) -> float:
    if column not in statistics:
        raise PlanError(f"Column {column!r}: {name} is not fitted. Fit the workflow first.")
    return float(statistics[column])
