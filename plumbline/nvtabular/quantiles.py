"""Operators of our own for a workflow's graph: numbers by their quantiles in the training split.

NVTabular has neither. They are used as its operators are:

    numbers = ["price", "age"] >> QuantileTransform() >> ops.FillMissing(0.0)
    buckets = ["price", "age"] >> QuantileBucketize(64) >> ops.Rename(postfix="_bucket")
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from plumbline.features.operators.bucketize import Bucketize
from plumbline.features.operators.quantile_bucketize import FitQuantileBucketize
from plumbline.features.operators.quantile_transform import FitQuantileTransform, Interpolate
from plumbline.features.statistics.histogram import Histogram, NumberCounts
from plumbline.nvtabular.library import StatOperator, Tags
from plumbline.nvtabular.patched.columns import frame_of, is_host, numbers
from plumbline.nvtabular.patched.reductions import reduced


class _OfQuantiles(StatOperator):
    """Learns a `histogram` of every column, and gives a step made of it."""

    def __init__(self, step: FitQuantileBucketize | FitQuantileTransform) -> None:
        super().__init__()
        self.step = step
        self.learned: dict[str, Bucketize | Interpolate] = {}
        """Column to what was learned of it."""

    def fit(self, col_selector: Any, ddf: Any) -> Any:
        return reduced(ddf, partial(_counted, col_selector.names), _merged)

    def fit_finalize(self, dask_stats: dict[str, Histogram]) -> None:
        for name, histogram in dask_stats.items():
            self.learned[name] = self.step.of(histogram)

    def transform(self, col_selector: Any, df: Any) -> Any:
        columns = {n: self.learned[n].apply(_array(df[n])) for n in col_selector.names}
        return frame_of(df, columns)

    def clear(self) -> None:
        self.learned = {}


class QuantileBucketize(_OfQuantiles):
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


class QuantileTransform(_OfQuantiles):
    """Numbers become the normal scores of their ranks, of about mean 0 and deviation 1.

    Whatever their scale is, however far apart, and for however many rows they are the same. Between
    `knots` of the training split's numbers the score is a straight line. A missing number stays
    missing; 0 is the score of the median.
    """

    def __init__(self, knots: int = 64) -> None:
        super().__init__(FitQuantileTransform(knots))

    @property
    def output_tags(self) -> list[Tags]:
        return [Tags.CONTINUOUS]

    @property
    def output_dtype(self) -> type[np.generic]:
        return np.float64


def _counted(names: Sequence[str], df: Any) -> dict[str, Histogram]:
    return {name: _histogram(_array(df[name])) for name in names}


def _histogram(values: Any) -> Histogram:
    counts = NumberCounts()
    counts.add(0, [values])
    return counts.histogram()


def _merged(parts: list[dict[str, Histogram]]) -> dict[str, Histogram]:
    return {name: Histogram.merged([part[name] for part in parts]) for name in parts[0]}


def _array(column: Any) -> Any:
    """The numbers on the host, NaN where they are missing."""
    values = numbers(column)
    return values.to_numpy() if is_host(values) else values.fillna(np.nan).to_numpy()
