"""The native forms of expressions compute what their steps compute in NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest

from plumbline.base.native import uses_native
from plumbline.columns.values import NULL_INT64
from plumbline.features.lookup.tables import Tables
from plumbline.features.operators.arithmetic import Arithmetic, Operation
from plumbline.features.operators.compare import Compare, Relation
from plumbline.features.operators.date_part import PARTS, DatePart
from plumbline.features.operators.range_ids import RangeIds
from plumbline.features.operators.seconds import Seconds
from plumbline.features.steps.native_nodes import NativeNodes, Tensor

pytestmark = pytest.mark.skipif(not uses_native(), reason="the native module was not built")

ROWS = 1000
RNG = np.random.default_rng(0)
DAY = 86_400 * 10**6
TIMES = np.concatenate(
    [
        RNG.integers(-(2**62), 2**62, ROWS),
        # Every day from 1583 to 2423, at midnight and one microsecond earlier.
        np.arange(-141_427, 165_463, dtype=np.int64) * DAY,
        np.arange(-141_427, 165_463, dtype=np.int64) * DAY - 1,
        [NULL_INT64, 0, -1, 2**62, -(2**62)],
    ]
)
NUMBERS = np.concatenate([RNG.normal(size=ROWS), [0.0, -0.0, np.nan, np.inf, -np.inf, 1.5]])
INTEGERS = np.concatenate(
    [RNG.integers(-4, 4, ROWS), [NULL_INT64, 2**63 - 1, -(2**63) + 1, 2**53, 2**53 + 1]]
)


def native(steps: Sequence[Any], tensor: Tensor, *columns: np.ndarray[Any, Any]) -> Any:
    """The results of the steps, each of all columns: (rows, steps)."""
    nodes = NativeNodes()
    raw = [nodes.raw_column((tensor, index, 0)) for index in range(len(columns))]
    made = dict(enumerate(step.native(nodes, raw, Tables(Path())) for step in steps))
    rows, is_ids = len(columns[0]), steps[0].gives != "number"
    nodes.set_outputs(made if is_ids else {}, {} if is_ids else made)
    ids = np.empty((rows, len(steps) if is_ids else 0), np.int64, order="F")
    numbers = np.empty((rows, 0 if is_ids else len(steps)), np.float32, order="F")
    tensors = [column[:, np.newaxis] for column in columns]
    doubles, integers = (tensors, []) if tensor == "doubles" else ([], tensors)
    nodes.encoder.run([], doubles, integers, [], ids, numbers)
    return ids if is_ids else numbers


def numpy(steps: Sequence[Any], *columns: np.ndarray[Any, Any]) -> Any:
    with np.errstate(over="ignore"):
        results = np.column_stack([step.apply(*columns) for step in steps])
    return results if results.dtype == np.int64 else results.astype(np.float32)


def test_parts_of_every_day() -> None:
    steps = [DatePart(part, offset) for part in PARTS for offset in (0, -90, 840)]
    np.testing.assert_array_equal(native(steps, "integers", TIMES), numpy(steps, TIMES))


def test_seconds() -> None:
    ends = TIMES[::-1].copy()
    between, since = [Seconds(None)], [Seconds(0), Seconds(10**15)]
    wanted = numpy(between, TIMES, ends)
    np.testing.assert_array_equal(native(between, "integers", TIMES, ends), wanted)
    np.testing.assert_array_equal(native(since, "integers", TIMES), numpy(since, TIMES))


def test_arithmetic() -> None:
    for by_zero in (None, 7.0):
        pairs = [Arithmetic(one, None, by_zero) for one in get_args(Operation)]
        constants = [Arithmetic(one, c, by_zero) for one in get_args(Operation) for c in (0.0, 0.3)]
        for tensor, values in (("doubles", NUMBERS), ("integers", INTEGERS)):
            other = values[::-1].copy()
            wanted = numpy(pairs, values, other)
            np.testing.assert_array_equal(native(pairs, tensor, values, other), wanted)  # type: ignore[arg-type]
            wanted = numpy(constants, values)
            np.testing.assert_array_equal(native(constants, tensor, values), wanted)  # type: ignore[arg-type]


def test_comparisons_and_ranges() -> None:
    relations = get_args(Relation)
    steps = [Compare(relation, c) for relation in relations for c in (1.5, 0.0, -1.0)]
    np.testing.assert_array_equal(native(steps, "doubles", NUMBERS), numpy(steps, NUMBERS))
    steps += [Compare(relation, c) for relation in relations for c in (0, 2**53 + 1, 2**63 - 1)]
    np.testing.assert_array_equal(native(steps, "integers", INTEGERS), numpy(steps, INTEGERS))
    ranges = [RangeIds(-2, 2), RangeIds(0, 0), RangeIds(2**63 - 4, 2**63 - 1)]
    np.testing.assert_array_equal(native(ranges, "integers", INTEGERS), numpy(ranges, INTEGERS))
