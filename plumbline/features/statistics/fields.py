"""Statistics as fields of cells, and back; see `plumbline.features.steps.cells`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from plumbline.columns.values import Text
from plumbline.features.statistics.counting import IntegerCounter, TextCounter
from plumbline.features.statistics.exact_sums import ExactSums
from plumbline.features.statistics.keys import distinct
from plumbline.features.statistics.moments import Moments
from plumbline.features.steps.cells import ANY_BIT, LARGEST, LEAST, SUM, Field, cells

COUNT = 0
"""The field of a number of rows. Fields 1 and 2 mark infinite numbers in sums of power 1 and 2."""

ROWS, MINIMUM, MAXIMUM = 3, 4, 5
"""Further fields of a group: its rows, and the bounds of its numbers."""

_DIGITS = 1_000
"""The digit of weight 2³²ᵏ of a sum has the field 1,000 · power + k; |k| is at most 70 · power."""

GROUP = 10_000
"""The fields of a key's group `g`, if it has several, begin at 10,000 · g."""


class Fields:
    """The fields of the cells of one part, by key.

    keys: integers or large_binary (V,), distinct; a single 0 of a statistic without keys.
    """

    def __init__(self, table: pa.Table) -> None:
        self.keys, self._row = distinct(keys_of(table))
        self._field = np.asarray(table["field"])
        self._value = np.asarray(table["value"])
        self.numbers = np.unique(self._field).tolist()

    def __call__(self, field: int, missing: int = 0) -> NDArray[np.int64]:
        """A field's value for each key, (V,)."""
        values = np.full(len(self.keys), missing, np.int64)
        at = np.flatnonzero(self._field == field)
        values[self._row[at]] = self._value[at]
        return values


def keys_of(table: pa.Table) -> pa.Array:
    """The key of each cell: integers or large_binary (N,)."""
    text = table["text"]
    keys = text if text.null_count < len(text) else table["integer"].fill_null(0)
    return pa.concat_arrays(keys.chunks) if keys.num_chunks else pa.array([], keys.type)


def counter_cells(counter: IntegerCounter | TextCounter) -> pa.Table:
    """The cells of counted values."""
    values, count = counter.counts()
    keys = values.to_arrow_bytes() if isinstance(values, Text) else pa.array(values)
    return cells(keys, [(COUNT, SUM, count)])


def add_to_counter(counter: IntegerCounter | TextCounter, table: pa.Table) -> None:
    """Count the values of such cells, merged."""
    keys, count = keys_of(table), np.asarray(table["value"])
    if not len(keys):
        return
    if isinstance(counter, TextCounter):
        counter.add_counted(Text.from_arrow(keys), count)
    else:
        counter.add_counted(np.asarray(keys), count)


def sums_fields(sums: ExactSums) -> Iterator[Field]:
    """The fields of exact sums of G groups: their digits, and the marks of infinite numbers."""
    low, digits, infinite = sums.state()
    yield sums.power, ANY_BIT, infinite.astype(np.int64)
    for plane in range(digits.shape[1]):
        yield _DIGITS * sums.power + low + plane, SUM, digits[:, plane]


def sums_of_fields(
    power: Literal[1, 2],
    groups: int,
    numbers: Iterable[int],
    read: Callable[[int], NDArray[np.int64]],
) -> ExactSums:
    """The sums of G groups from the values (G,) that `read` gives of the fields `numbers`."""
    first = _DIGITS * power
    places = [number - first for number in numbers if 2 * abs(number - first) < _DIGITS]
    low = min(places, default=0)
    digits = np.zeros((groups, max(places, default=low - 1) - low + 1), np.int64)
    for place in places:
        digits[:, place - low] = read(first + place)
    return ExactSums.restored(power, low, digits, read(power).astype(np.uint8))


def moments_fields(moments: Moments) -> Iterator[Field]:
    yield COUNT, SUM, moments.count
    yield from sums_fields(moments.sums)
    yield from sums_fields(moments.squares)


def moments_of_fields(fields: Fields) -> Moments:
    """The moments of each key."""
    size, numbers = len(fields.keys), fields.numbers
    sums, squares = (
        sums_of_fields(1, size, numbers, fields),
        sums_of_fields(2, size, numbers, fields),
    )
    return Moments(fields(COUNT), sums, squares)


def bounds_fields(minimum: NDArray[np.float64], maximum: NDArray[np.float64]) -> Iterator[Field]:
    """The fields of bounds that are not NaN."""
    yield MINIMUM, LEAST, _ordered(minimum.view(np.int64))
    yield MAXIMUM, LARGEST, _ordered(maximum.view(np.int64))


def bounds_of(fields: Fields) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    minimum, maximum = (_ordered(fields(field)) for field in (MINIMUM, MAXIMUM))
    return minimum.view(np.float64), maximum.view(np.float64)


def _ordered(bits: NDArray[np.int64]) -> NDArray[np.int64]:
    """The bits of a float64 so that they ascend with it, and back."""
    return np.asarray(bits ^ ((bits >> 63) & np.int64(2**63 - 1)))
