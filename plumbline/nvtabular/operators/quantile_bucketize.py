"""QuantileBucketize, an operator of our own: buckets of about as many training rows each.

It is used in a graph as NVTabular's operators are:

    buckets = ["price", "age"] >> QuantileBucketize(64) >> ops.Rename(postfix="_bucket")
"""

from __future__ import annotations

import numpy as np

from plumbline.features.operators.quantile_bucketize import FitQuantileBucketize
from plumbline.features.steps.chains import Source
from plumbline.nvtabular.library import Tags
from plumbline.nvtabular.operator_call import CompiledOperator, OperatorCall
from plumbline.nvtabular.quantiles import OfQuantiles, learned_quantiles


def quantile_bucketize(at: OperatorCall) -> Source:
    buckets = at.count("buckets", at.operator.step.buckets)
    rows_each = at.count("rows_each", at.operator.step.rows_each)
    return learned_quantiles(at, FitQuantileBucketize(buckets, rows_each))


class QuantileBucketize(OfQuantiles):
    """Numbers become ids: at most `buckets` of about as many training rows each.

    There are fewer where they would have less than `rows_each` rows, but not fewer than two. Where
    a column has no more distinct numbers than buckets, each has its own. A missing number has the
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
