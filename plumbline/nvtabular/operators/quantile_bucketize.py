"""QuantileBucketize, an operator of our own: buckets with about equal numbers of training rows.

A graph uses it like NVTabular's operators:

    buckets = ["price", "age"] >> QuantileBucketize(64) >> ops.Rename(postfix="_bucket")
"""

from __future__ import annotations

import numpy as np

from plumbline.features.operators.quantile_bucketize import FitQuantileBucketize
from plumbline.features.steps.chains import Source
from plumbline.nvtabular.library import Tags
from plumbline.nvtabular.operator_call import CompiledOperator, OperatorCall
from plumbline.nvtabular.quantiles import QuantileOperator, learned_quantiles


def quantile_bucketize(at: OperatorCall) -> Source:
    buckets = at.count("buckets", at.operator.step.buckets)
    rows_each = at.count("rows_each", at.operator.step.rows_each)
    return learned_quantiles(at, FitQuantileBucketize(buckets, rows_each))


class QuantileBucketize(QuantileOperator):
    """Ids of at most `buckets` buckets with about equal numbers of training rows.

    There are fewer buckets if they would have less than `rows_each` rows, but at least two. If a
    column has at most `buckets` distinct numbers, each has its own bucket. Missing numbers have the
    last id.
    """

    def __init__(self, buckets: int = 64, rows_each: int = 1) -> None:
        super().__init__(FitQuantileBucketize(buckets, rows_each))

    @property
    def output_tags(self) -> list[Tags]:
        return [Tags.CATEGORICAL]

    @property
    def output_dtype(self) -> type[np.generic]:
        return np.int64


OPERATORS = (CompiledOperator(QuantileBucketize, quantile_bucketize),)
