"""What our own QuantileBucketize and QuantileTransform share: both learn a column's quantiles."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from plumbline.features import operators as steps
from plumbline.features.fitting.accumulator import Target
from plumbline.features.fitting.histogram import Counting, Histogram
from plumbline.features.fitting.quantiles import of_quantiles
from plumbline.features.operators import Bucketize, Interpolate
from plumbline.features.plan.chains import Source
from plumbline.features.plan.unfitted import FitQuantiles
from plumbline.nvtabular.library import StatOperator
from plumbline.nvtabular.operator_call import OperatorCall
from plumbline.nvtabular.patching.columns import frame_of, host_numbers
from plumbline.nvtabular.patching.reductions import reduced


def learned_quantiles(at: OperatorCall, step: FitQuantiles) -> Source:
    column = at.output
    # A number that is rounded differently could be counted in another bin.
    source = at.exact(at.numbers(column))

    def read(target: Target) -> steps.Step:
        fitted: steps.Step = at.learned_value(at.operator.learned, column)
        return fitted

    return at.learned(step, read, source)


class OfQuantiles(StatOperator):
    """Learns a `histogram` of every column, and gives a step made of it."""

    def __init__(self, step: FitQuantiles) -> None:
        super().__init__()
        self.step = step
        self.learned: dict[str, Bucketize | Interpolate] = {}
        """Column to what was learned of it."""

    def fit(self, col_selector: Any, ddf: Any) -> Any:
        return reduced(ddf, partial(_counted, col_selector.names), _merged)

    def fit_finalize(self, dask_stats: dict[str, Histogram]) -> None:
        for name, histogram in dask_stats.items():
            self.learned[name] = of_quantiles(self.step, histogram)

    def transform(self, col_selector: Any, df: Any) -> Any:
        columns = {n: self.learned[n].apply(host_numbers(df[n])) for n in col_selector.names}
        return frame_of(df, columns)

    def clear(self) -> None:
        self.learned = {}


def _counted(names: Sequence[str], df: Any) -> dict[str, Histogram]:
    return {name: _histogram(host_numbers(df[name])) for name in names}


def _histogram(values: Any) -> Histogram:
    counting = Counting()
    counting.add(values)
    return counting.histogram()


def _merged(parts: list[dict[str, Histogram]]) -> dict[str, Histogram]:
    return {name: Histogram.merged([part[name] for part in parts]) for name in parts[0]}
