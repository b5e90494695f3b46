"""FillMedian: replace missing numbers by the median of the training split."""

from __future__ import annotations

import math
from typing import Any

from plumbline.base.errors import DataError
from plumbline.features.operators.fill_median import FitMedian
from plumbline.features.operators.fill_missing import FillMissing as FillMissingStep
from plumbline.features.steps.chains import Source
from plumbline.features.steps.fit_step import Target
from plumbline.features.steps.step import Step
from plumbline.nvtabular.filling import filled, flag_of_filled
from plumbline.nvtabular.library import ops
from plumbline.nvtabular.operator_call import CompiledOperator, OperatorCall
from plumbline.nvtabular.patching.learning import Learned, Reads, learned


def fill_median(at: OperatorCall) -> Source:
    flag = flag_of_filled(at)
    if flag is not None:
        return flag
    column = at.output

    def read(target: Target) -> Step:
        median = float(at.learned_value(at.operator.medians, column))
        if not math.isfinite(median):
            raise DataError(
                f"Column {column!r}: its median in the training split is {median}. Use FillMissing "
                "with a number, or leave the column out."
            )
        return FillMissingStep(median)

    return at.fit_step(FitMedian(), read, at.numbers(column))


class FillMedian(ops.FillMedian):
    """The exact median; NVTabular takes an approximate quantile of the partitions' quantiles."""

    def fit(self, col_selector: Any, ddf: Any) -> Any:
        return learned(ddf, {n: Reads(FitMedian(), numbers=(n,)) for n in col_selector.names})

    def fit_finalize(self, dask_stats: dict[str, Learned]) -> None:
        for name, statistics in dask_stats.items():
            median = statistics.accumulated.median()
            self.medians[name] = math.nan if median is None else median

    def transform(self, col_selector: Any, df: Any) -> Any:
        return filled(self, df, col_selector.names, self.medians.__getitem__)


OPERATORS = (CompiledOperator(ops.FillMedian, fill_median, FillMedian),)
