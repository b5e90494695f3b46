"""FillMedian: the training split's median in place of missing numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from plumbline.base.errors import DataError
from plumbline.features.operators.fill_median import FitMedian
from plumbline.features.operators.fill_missing import FillMissing
from plumbline.features.steps.chains import Source
from plumbline.features.steps.fit_step import Target
from plumbline.features.steps.step import Step
from plumbline.nvtabular.filling import filled, flag_of_filled
from plumbline.nvtabular.library import ops
from plumbline.nvtabular.operator_call import CompiledOperator, OperatorCall
from plumbline.nvtabular.patching.columns import numbers
from plumbline.nvtabular.patching.reductions import reduced


def fill_median(at: OperatorCall) -> Source:
    flag = flag_of_filled(at)
    if flag is not None:
        return flag
    column = at.output

    def read(target: Target) -> Step:
        median = float(at.learned_value(at.operator.medians, column))
        if not math.isfinite(median):
            raise DataError(
                f"Column {column!r}: its median in the training split is {median}. Fill it with a "
                "number, or leave it out."
            )
        return FillMissing(median)

    return at.learned(FitMedian(), read, at.numbers(column))


class FillMedian(ops.FillMedian):
    """The exact median: NVTabular's is one of the quantiles of the partitions."""

    def fit(self, col_selector: Any, ddf: Any) -> Any:
        return reduced(ddf, partial(_present, col_selector.names), _joined)

    def fit_finalize(self, dask_stats: dict[str, Any]) -> None:
        for name, values in dask_stats.items():
            self.medians[name] = float(np.median(values)) if len(values) else float("nan")

    def transform(self, col_selector: Any, df: Any) -> Any:
        return filled(self, df, col_selector.names, self.medians.__getitem__)


def _present(names: Sequence[str], df: Any) -> dict[str, Any]:
    return {name: numbers(df[name]).dropna().to_numpy() for name in names}


def _joined(parts: list[dict[str, Any]]) -> dict[str, Any]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


OPERATORS = (CompiledOperator(ops.FillMedian, fill_median, FillMedian),)
