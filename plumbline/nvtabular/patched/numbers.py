"""NVTabular's operators on continuous columns: in float64, integers and nulls included."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from plumbline.features.operators.normalize import ROUNDING
from plumbline.nvtabular.library import ops
from plumbline.nvtabular.patched.columns import frame_of, numbers
from plumbline.nvtabular.patched.reductions import reduced

FILLED = "_filled"


def _each(df: Any, names: Sequence[str], change: Callable[[str, Any], Any]) -> Any:
    return frame_of(df, {name: change(name, numbers(df[name])) for name in names})


def _filled(df: Any, names: Sequence[str], value: Callable[[str], float], flags: bool) -> Any:
    columns = {}
    for name in names:
        column = numbers(df[name])
        columns[name] = column.fillna(value(name))
        if flags:
            columns[name + FILLED] = column.isna()
    return frame_of(df, columns)


class FillMissing(ops.FillMissing):
    """Integers with nulls are filled too, and NaN on cuDF."""

    def transform(self, col_selector: Any, df: Any) -> Any:
        fill, flags = self.fill_val, self.add_binary_cols
        return _filled(df, col_selector.names, lambda name: fill, flags)


class FillMedian(ops.FillMedian):
    """The exact median: NVTabular's is one of the quantiles of the partitions."""

    def fit(self, col_selector: Any, ddf: Any) -> Any:
        return reduced(ddf, partial(_present, col_selector.names), _joined)

    def fit_finalize(self, dask_stats: dict[str, Any]) -> None:
        for name, values in dask_stats.items():
            self.medians[name] = float(np.median(values)) if len(values) else float("nan")

    def transform(self, col_selector: Any, df: Any) -> Any:
        return _filled(df, col_selector.names, self.medians.__getitem__, self.add_binary_cols)


def _present(names: Sequence[str], df: Any) -> dict[str, Any]:
    return {name: numbers(df[name]).dropna().to_numpy() for name in names}


def _joined(parts: list[dict[str, Any]]) -> dict[str, Any]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


class Clip(ops.Clip):
    """Integers with nulls are clipped too."""

    def transform(self, col_selector: Any, df: Any) -> Any:
        # One after the other: given both, pandas would exchange bounds that cross.
        def clipped(_: str, column: Any) -> Any:
            return column.clip(lower=self.min_value).clip(upper=self.max_value)

        return _each(df, col_selector.names, clipped)


class LogOp(ops.LogOp):
    """In float64."""

    def transform(self, col_selector: Any, df: Any) -> Any:
        with np.errstate(invalid="ignore", divide="ignore"):
            return _each(df, col_selector.names, lambda _, column: np.log(column + 1.0))


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

        return _each(df, col_selector.names, normalized)


def _moments(names: Sequence[str], df: Any) -> dict[str, _Moments]:
    return {name: _Moments.of(numbers(df[name])) for name in names}


def _merged_moments(parts: list[dict[str, _Moments]]) -> dict[str, _Moments]:
    merged = parts[0]
    for part in parts[1:]:
        merged = {name: found.merged(part[name]) for name, found in merged.items()}
    return merged


class NormalizeMinMax(ops.NormalizeMinMax):
    """Of a column with one number, 0.5 for every number: NVTabular's is missing at 0.

    A column without any number is all missing: NVTabular fails.
    """

    def fit(self, col_selector: Any, ddf: Any) -> Any:
        return reduced(ddf, partial(_bounds, col_selector.names), _merged_bounds)

    def fit_finalize(self, dask_stats: dict[str, tuple[float, float]]) -> None:
        for name, bounds in dask_stats.items():
            self.mins[name], self.maxs[name] = bounds

    def transform(self, col_selector: Any, df: Any) -> Any:
        def normalized(name: str, column: Any) -> Any:
            low, high = self.mins[name], self.maxs[name]
            return (column - low) / (high - low) if high > low else column.where(column.isna(), 0.5)

        return _each(df, col_selector.names, normalized)


def _bounds(names: Sequence[str], df: Any) -> dict[str, tuple[float, float]]:
    columns = {name: numbers(df[name]) for name in names}
    return {name: (float(c.min()), float(c.max())) for name, c in columns.items()}


def _merged_bounds(
    parts: list[dict[str, tuple[float, float]]],
) -> dict[str, tuple[float, float]]:
    """Bounds that are not a number, of a partition without any, do not count."""
    return {
        name: (
            float(np.fmin.reduce([part[name][0] for part in parts])),
            float(np.fmax.reduce([part[name][1] for part in parts])),
        )
        for name in parts[0]
    }


class ReduceDtypeSize(ops.ReduceDtypeSize):
    """Changes nothing: the encoded files have types of their own. NVTabular fails on nulls."""

    def fit(self, col_selector: Any, ddf: Any) -> Any:
        return reduced(ddf, _nothing, _nothing)

    def transform(self, col_selector: Any, df: Any) -> Any:
        return df


def _nothing(_: Any) -> dict[str, Any]:
    return {}
