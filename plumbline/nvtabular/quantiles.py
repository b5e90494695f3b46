"""What our own QuantileBucketize and QuantileTransform share: learning a column's quantiles."""

from __future__ import annotations

from typing import Any

from plumbline.features.operators.bucketize import Bucketize
from plumbline.features.operators.quantile_bucketize import FitQuantileBucketize
from plumbline.features.operators.quantile_transform import FitQuantileTransform, Interpolate
from plumbline.features.statistics.histogram import NumberCounts
from plumbline.features.steps.chains import Source
from plumbline.features.steps.fit_step import Target
from plumbline.features.steps.step import Step
from plumbline.nvtabular.library import StatOperator
from plumbline.nvtabular.operator_call import OperatorCall
from plumbline.nvtabular.patching.columns import frame_of, host_numbers
from plumbline.nvtabular.patching.learning import learned


def learned_quantiles(
    at: OperatorCall, step: FitQuantileBucketize | FitQuantileTransform
) -> Source:
    column = at.output
    # A number that is rounded differently could be counted in another bin of the histogram.
    source = at.require_exact(at.numbers(column))

    def read(target: Target) -> Step:
        fitted: Step = at.learned_value(at.operator.learned, column)
        return fitted

    return at.fit_step(step, read, source)


class QuantileOperator(StatOperator):
    """Learns a histogram of every column, and applies the step that is fitted to it."""

    def __init__(self, step: FitQuantileBucketize | FitQuantileTransform) -> None:
        super().__init__()
        self.step = step
        self.learned: dict[str, Bucketize | Interpolate] = {}
        """Column to its fitted step."""

    def fit(self, col_selector: Any, ddf: Any) -> Any:
        return learned(ddf, dict.fromkeys(col_selector.names, self.step))

    def fit_finalize(self, dask_stats: dict[str, NumberCounts]) -> None:
        for name, accumulated in dask_stats.items():
            self.learned[name] = self.step.of(accumulated.histogram())

    def transform(self, col_selector: Any, df: Any) -> Any:
        columns = {n: self.learned[n].apply(host_numbers(df[n])) for n in col_selector.names}
        return frame_of(df, columns)

    def clear(self) -> None:
        self.learned = {}
