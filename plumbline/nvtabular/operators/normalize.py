"""Normalize: (x - mean) / standard deviation of the training split."""

from __future__ import annotations

import math
from typing import Any

from plumbline.features.operators.normalize import ColumnMoments, FitNormalize
from plumbline.features.operators.normalize import Normalize as NormalizeStep
from plumbline.features.steps.chains import Source
from plumbline.features.steps.fit_step import Target
from plumbline.features.steps.step import Step
from plumbline.nvtabular.library import ops
from plumbline.nvtabular.operator_call import CompiledOperator, OperatorCall
from plumbline.nvtabular.patching.columns import changed
from plumbline.nvtabular.patching.learning import learned


def normalize(at: OperatorCall) -> Source:
    at.require_float_dtype("out_dtype", at.operator.out_dtype)
    column = at.output

    def read(target: Target) -> Step:
        mean = float(at.learned_value(at.operator.means, column))
        deviation = float(at.operator.stds[column])
        # NVTabular only centres if the deviation is 0, or NaN, as it is for a single row.
        deviation = 0.0 if math.isnan(deviation) else deviation
        return NormalizeStep.checked(target.columns, mean, deviation)

    return at.fit_step(FitNormalize(), read, at.numbers(column))


class Normalize(ops.Normalize):
    """Computes the deviation from exact sums; NVTabular's rounded ones lose a small one."""

    def fit(self, col_selector: Any, ddf: Any) -> Any:
        return learned(ddf, dict.fromkeys(col_selector.names, FitNormalize()))

    def fit_finalize(self, dask_stats: dict[str, ColumnMoments]) -> None:
        for name, moments in dask_stats.items():
            self.means[name], self.stds[name] = moments.mean_and_deviation()

    def transform(self, col_selector: Any, df: Any) -> Any:
        def normalized(name: str, column: Any) -> Any:
            centred = column - self.means[name]
            return centred / self.stds[name] if self.stds[name] > 0 else centred

        return changed(df, col_selector.names, normalized)


OPERATORS = (CompiledOperator(ops.Normalize, normalize, Normalize),)
