"""Normalize: (x - mean) / standard deviation of the training split."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from plumbline.features.operators.normalize import ROUNDING, FitNormalize
from plumbline.features.operators.normalize import Normalize as NormalizeStep
from plumbline.features.steps.chains import Source
from plumbline.features.steps.fit_step import Target
from plumbline.features.steps.step import Step
from plumbline.nvtabular.library import ops
from plumbline.nvtabular.operator_call import CompiledOperator, OperatorCall
from plumbline.nvtabular.patching.columns import changed, numbers
from plumbline.nvtabular.patching.reductions import reduced


def normalize(at: OperatorCall) -> Source:
    at.float_dtype("out_dtype", at.operator.out_dtype)
    column = at.output

    def read(target: Target) -> Step:
        mean = float(at.learned_value(at.operator.means, column))
        deviation = float(at.operator.stds[column])
        # NVTabular only centres where the deviation is 0, or not a number as for a single row.
        return NormalizeStep.by(target.columns, mean, 0.0 if math.isnan(deviation) else deviation)

    return at.learned(FitNormalize(), read, at.numbers(column))


class Normalize(ops.Normalize):
    """By the distances from the mean: NVTabular's sums of squares lose a small deviation."""

    def fit(self, col_selector: Any, ddf: Any) -> Any:
        return reduced(ddf, partial(_moments, col_selector.names), _merged_moments)

    def fit_finalize(self, dask_stats: dict[str, _Moments]) -> None:
        for name, found in dask_stats.items():
            variance = found.squares / (found.count - 1) if found.count > 1 else 0.0
            deviation = float(np.sqrt(variance))
            self.means[name] = found.mean if found.count else float("nan")
            self.stds[name] = deviation if deviation > ROUNDING * abs(found.mean) else 0.0

    def transform(self, col_selector: Any, df: Any) -> Any:
        def normalized(name: str, column: Any) -> Any:
            centred = column - self.means[name]
            return centred / self.stds[name] if self.stds[name] > 0 else centred

        return changed(df, col_selector.names, normalized)


@dataclass(frozen=True, slots=True)
class _Moments:
    count: int
    mean: float
    squares: float
    """Sum of squared distances from the mean."""

    @classmethod
    def of(cls, column: Any) -> _Moments:
        count = int(column.count())
        mean = float(column.mean()) if count else 0.0
        return cls(count, mean, float(((column - mean) ** 2).sum()))

    def merged(self, other: _Moments) -> _Moments:
        """Chan, Golub and LeVeque (1983)."""
        count = self.count + other.count
        if not count:
            return self
        apart = other.mean - self.mean
        return _Moments(
            count,
            self.mean + apart * other.count / count,
            self.squares + other.squares + apart**2 * self.count * other.count / count,
        )


def _moments(names: Sequence[str], df: Any) -> dict[str, _Moments]:
    return {name: _Moments.of(numbers(df[name])) for name in names}


def _merged_moments(parts: list[dict[str, _Moments]]) -> dict[str, _Moments]:
    merged = parts[0]
    for part in parts[1:]:
        merged = {name: found.merged(part[name]) for name, found in merged.items()}
    return merged


OPERATORS = (CompiledOperator(ops.Normalize, normalize, Normalize),)
