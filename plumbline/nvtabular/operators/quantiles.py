"""Operators that learn quantiles: buckets and normal scores."""

from __future__ import annotations

from plumbline.base.errors import PlanError
from plumbline.features.operators.quantile_bucketize import FitQuantileBucketize
from plumbline.features.operators.quantile_transform import FitQuantileTransform
from plumbline.features.steps.chains import Source
from plumbline.features.steps.fit_step import Target
from plumbline.features.steps.step import Step
from plumbline.nvtabular.operators.buckets import is_exact
from plumbline.nvtabular.operators.operator_call import OperatorCall


def quantile_bucketize(at: OperatorCall) -> Source:
    buckets = at.count("buckets", at.operator.step.buckets)
    rows_each = at.count("rows_each", at.operator.step.rows_each)
    return _learned(at, FitQuantileBucketize(buckets, rows_each))


def quantile_transform(at: OperatorCall) -> Source:
    knots = at.count("knots", at.operator.step.knots, 2)
    return _learned(at, FitQuantileTransform(knots))


def _learned(at: OperatorCall, step: FitQuantileBucketize | FitQuantileTransform) -> Source:
    column = at.output
    source = at.numbers(column)
    if not is_exact(source):
        # A number that is rounded differently could be counted in another bin.
        raise at.unsupported(f"{at.name} on computed numbers")

    def read(target: Target) -> Step:
        if column not in at.operator.learned:
            raise PlanError(f"Column {column!r}: {at.name} is not fitted. Fit the workflow first.")
        fitted: Step = at.operator.learned[column]
        return fitted

    return at.learned(step, read, source)
