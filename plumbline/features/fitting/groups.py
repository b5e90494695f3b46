"""Statistics of the rows that share a key: of a number, or of an encoded target."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from plumbline.columns.keys import is_all_missing, pack, part_values, unpack
from plumbline.columns.values import Text, Values
from plumbline.features.fitting.accumulator import Accumulator, Target
from plumbline.features.fitting.fitted import keyed_value
from plumbline.features.operators import KeyedValue, Step
from plumbline.features.operators.step import as_numbers
from plumbline.features.plan.chains import Source
from plumbline.features.plan.unfitted import FitGroupStatistic
from plumbline.features.plan.value_types import ValueType

PARTS_AT_MOST = 16
"""Tables of chunks that are kept apart; when there are more, they are merged into one."""


def key_array(keys: Sequence[Values]) -> pa.Array:
    """The keys as one Arrow array: integers, strings, or several columns packed as binary."""
    if len(keys) > 1:
        return pack(keys).to_arrow().cast(pa.large_binary())
    (key,) = keys
    if isinstance(key, Text):
        return key.to_arrow().cast(pa.large_binary())
    return pa.array(key)


def key_parts(keys: pa.Array, types: Sequence[ValueType]) -> list[pa.Array]:
    """The columns that `key_array` made one of."""
    if pa.types.is_integer(keys.type):
        return [keys]
    if len(types) == 1:
        return [keys.cast(pa.string())]
    text = Text.from_arrow(keys)
    return unpack(text, [type_.element == "text" for type_ in types])


def distinct(keys: pa.Array) -> tuple[pa.Array, NDArray[np.int64]]:
    """The distinct keys (V,), and for every key its place among them, int64 (B,)."""
    encoded = pc.dictionary_encode(keys)
    return encoded.dictionary, np.asarray(encoded.indices, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Totals:
    """What is known of each key, (V,): rows, numbers, their mean, squared distances, bounds."""

    keys: pa.Array
    rows: NDArray[np.int64]
    numbers: NDArray[np.int64]
    mean: NDArray[np.float64]
    squares: NDArray[np.float64]
    minimum: NDArray[np.float64]
    maximum: NDArray[np.float64]

    @classmethod
    def of(cls, keys: pa.Array, measured_B: NDArray[np.float64]) -> Totals:
        """Of the rows of a chunk; a missing number counts as a row only."""
        found, place_B = distinct(keys)
        size = len(found)
        rows = np.bincount(place_B, minlength=size)
        there_B = ~np.isnan(measured_B)
        place, number = place_B[there_B], measured_B[there_B]
        numbers = np.bincount(place, minlength=size)
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = _sums(place, number, size) / numbers
            squares = _sums(place, (number - mean[place]) ** 2, size)
        minimum, maximum = np.full(size, np.inf), np.full(size, -np.inf)
        np.minimum.at(minimum, place, number)
        np.maximum.at(maximum, place, number)
        return cls(found, rows, numbers, np.nan_to_num(mean), squares, minimum, maximum)

    @classmethod
    def merged(cls, parts: Sequence[Totals]) -> Totals:
        """Chan, Golub and LeVeque (1983): squared distances from the common mean."""
        found, place = distinct(pa.concat_arrays([part.keys for part in parts]))
        size = len(found)
        rows, numbers, mean, squares, minimum, maximum = (
            np.concatenate([getattr(part, name) for part in parts])
            for name in ("rows", "numbers", "mean", "squares", "minimum", "maximum")
        )
        total = _sums(place, numbers, size).astype(np.int64)
        with np.errstate(invalid="ignore", divide="ignore"):
            common = np.nan_to_num(_sums(place, mean * numbers, size) / total)
            squares = squares + numbers * (mean - common[place]) ** 2
        lowest, highest = np.full(size, np.inf), np.full(size, -np.inf)
        np.minimum.at(lowest, place, minimum)
        np.maximum.at(highest, place, maximum)
        return cls(
            found,
            _sums(place, rows, size).astype(np.int64),
            total,
            common,
            _sums(place, squares, size),
            lowest,
            highest,
        )

    def statistic(self, name: str) -> NDArray[np.float64]:
        """One number a key, NaN where it has none."""
        with np.errstate(invalid="ignore", divide="ignore"):
            variance = np.where(self.numbers > 1, self.squares / (self.numbers - 1), np.nan)
            found: dict[str, NDArray[np.float64]] = {
                "count": self.rows.astype(np.float64),
                "sum": self.mean * self.numbers,
                "mean": np.where(self.numbers > 0, self.mean, np.nan),
                "var": variance,
                "std": np.sqrt(variance),
                "min": np.where(self.numbers > 0, self.minimum, np.nan),
                "max": np.where(self.numbers > 0, self.maximum, np.nan),
            }
        return found[name]


def _sums(place: NDArray[np.int64], values: NDArray[Any], size: int) -> NDArray[np.float64]:
    """The sum of the values at each place, float64 (size,)."""
    return np.bincount(place, values, size).astype(np.float64, copy=False)


class GroupTotals(Accumulator):
    """Serves every statistic of one `measured` source by one key; a missing key is a key too."""

    def __init__(self, keys: tuple[Source, ...], measured: Source | None) -> None:
        super().__init__(keys if measured is None else (*keys, measured))
        self._keys = len(keys)
        self._parts: list[Totals] = []

    def add(self, chunk: int, values: Sequence[Values]) -> None:
        keys, measured = values[: self._keys], values[self._keys :]
        numbers_B = as_numbers(measured[0]) if measured else np.ones(len(keys[0]))
        self._parts.append(Totals.of(key_array(keys), numbers_B))
        if len(self._parts) > PARTS_AT_MOST:
            self._parts = [Totals.merged(self._parts)]

    def totals(self) -> Totals:
        if len(self._parts) > 1:
            self._parts = [Totals.merged(self._parts)]
        return self._parts[0]

    def finish(self, target: Target) -> Step:
        raise TypeError("a GroupStatistic finishes the totals")


class GroupStatistic(Accumulator):
    """One statistic; several of the same keys and number share their totals."""

    def __init__(self, step: FitGroupStatistic, totals: GroupTotals) -> None:
        super().__init__(totals.sources)
        self._step = step
        self._totals = totals

    @property
    def reader(self) -> Accumulator:
        return self._totals

    def add(self, chunk: int, values: Sequence[Values]) -> None:
        self._totals.add(chunk, values)

    def finish(self, target: Target) -> KeyedValue:
        totals = self._totals.totals()
        values = totals.statistic(self._step.statistic)
        # A key that was never seen has no rows; every other statistic of it is missing.
        default = 0.0 if self._step.statistic == "count" else None
        return by_key(target, totals.keys, values, default)


def by_key(
    target: Target, keys: pa.Array, values: NDArray[np.float64], default: float | None
) -> KeyedValue:
    """The step that gives `values`, float64 (V,), by `keys`, and `default` where there is none."""
    parts = key_parts(keys, target.types)
    is_null = is_all_missing([part_values(part) for part in parts])
    of_null = values[is_null]
    null = float(of_null[0]) if len(of_null) else default
    there = pa.array(np.flatnonzero(~is_null))
    return keyed_value(
        target.folder,
        target.output,
        [part.take(there) for part in parts],
        target.columns,
        values[~is_null],
        default=default,
        null=None if null is None or math.isnan(null) else null,
    )
