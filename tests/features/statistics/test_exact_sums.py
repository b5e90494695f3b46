"""Exact sums: equal to sums of fractions, however numbers are ordered and divided into parts."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plumbline.features.statistics.exact_sums import ExactSums
from plumbline.features.statistics.moments import Moments

pytestmark = pytest.mark.usefixtures("implementation")
thorough = settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])

EDGES = [0.0, -0.0, 5e-324, -5e-324, 2.2250738585072014e-308, 1e300, -1e300, 2.0**53, 0.1, 1 / 3]
WIDTH_32 = st.floats(width=32, allow_nan=False, allow_infinity=False)
FINITE = st.sampled_from(EDGES) | st.floats(-1e300, 1e300) | WIDTH_32
GROUPS = 3
ROWS = st.lists(st.tuples(FINITE | st.just(math.nan), st.integers(0, GROUPS - 1)), max_size=30)


def known(rows: list[tuple[float, int]], group: int) -> list[float]:
    return [number for number, at in rows if at == group and not math.isnan(number)]


def arrays(rows: list[tuple[float, int]]) -> tuple[np.ndarray, np.ndarray]:
    numbers = np.array([number for number, _ in rows], np.float64)
    return numbers, np.array([group for _, group in rows], np.int64)


@thorough
@given(ROWS)
def test_a_sum_is_the_nearest_number(rows: list[tuple[float, int]]) -> None:
    total = ExactSums.of(*arrays(rows), GROUPS).total()
    assert total.tolist() == [math.fsum(known(rows, group)) for group in range(GROUPS)]
    assert not np.signbit(total[total == 0]).any()


@pytest.mark.parametrize("scale", [1.0, 2.0**-40, 2.0**31, 1e-300])
def test_a_column_is_one_group(scale: float) -> None:
    numbers = np.random.default_rng(0).normal(3, 1, 5_000) * scale
    one = Moments.of(numbers)
    assert one.sums.total() == [math.fsum(numbers.tolist())]
    group = Moments.of(numbers, np.zeros(len(numbers), np.int64))
    assert (one.mean, one.variance) == (group.mean, group.variance)
    assert ExactSums.of(np.full(5_000, scale)).total() == [5_000 * scale]


@thorough
@given(ROWS)
def test_moments_are_those_of_fractions(rows: list[tuple[float, int]]) -> None:
    moments = Moments.of(*arrays(rows), GROUPS)
    for group in range(GROUPS):
        numbers = [Fraction(number) for number in known(rows, group)]
        n = len(numbers)
        assert moments.count[group] == n
        assert_near(moments.mean[group], sum(numbers) / n if n else None)
        squares = n * sum(x * x for x in numbers) - sum(numbers) ** 2
        assert_near(moments.variance[group], squares / (n * (n - 1)) if n > 1 else None)


def assert_near(actual: float, exact: Fraction | None) -> None:
    if exact is None:
        assert math.isnan(actual)
    elif abs(exact) > Fraction(np.finfo(np.float64).max):
        assert math.isinf(actual)
    else:
        smallest = Fraction(5e-324)
        assert abs(Fraction(actual) - exact) <= max(abs(exact) / 2**52, smallest)


@thorough
@given(ROWS, st.randoms(use_true_random=False), st.integers(1, 6))
def test_no_order_and_no_division_changes_a_bit(
    rows: list[tuple[float, int]], random: object, parts: int
) -> None:
    whole = Moments.of(*arrays(rows), GROUPS)
    random.shuffle(rows)  # type: ignore[attr-defined]
    pieces = [Moments.of(*arrays(rows[part::parts]), GROUPS) for part in range(parts)]
    same = np.arange(GROUPS)
    merged = Moments.merged(pieces, [same] * parts, GROUPS)
    for name in ("mean", "variance"):
        np.testing.assert_array_equal(getattr(merged, name), getattr(whole, name))
    np.testing.assert_array_equal(merged.sums.total(), whole.sums.total())


def test_infinite_numbers() -> None:
    numbers = np.array([np.inf, 1.0, -np.inf, np.inf, -np.inf, np.nan])
    group = np.array([0, 0, 1, 2, 2, 3])
    total = ExactSums.of(numbers, group, 4).total()
    np.testing.assert_array_equal(total, [np.inf, -np.inf, np.nan, 0.0])
    np.testing.assert_array_equal(
        ExactSums.of(numbers, group, 4, power=2).total(), [np.inf, np.inf, np.inf, 0.0]
    )
    assert np.isnan(Moments.of(numbers, group, 4).variance).all()
    np.testing.assert_array_equal(
        ExactSums.of(numbers, group, 4).others(2).total(), [-np.inf, np.inf, 0.0, np.nan]
    )


def test_digits_are_carried_before_they_overflow() -> None:
    """2⁴⁰ numbers of 53 bits, as doubled parts."""
    sums = ExactSums.of(np.array([-(2.0**53) + 1]))
    for _ in range(40):
        sums = sums.plus(sums)
    assert sums.total()[0] == math.ldexp(-(2.0**53) + 1, 40)


def test_sums_of_neighbours() -> None:
    numbers = np.array([1e100, 1.0, -1e100, 3.0, 4.0, 5.0])
    sums = ExactSums.of(numbers, np.arange(6), 6)
    np.testing.assert_array_equal(sums.joined(3).total(), [1.0, 12.0])
    np.testing.assert_array_equal(sums.others(3).total()[:3], [-1e100, 0.0, 1e100])
    np.testing.assert_array_equal(sums.others(3).total()[3:], [9.0, 8.0, 7.0])


def test_equal_numbers_do_not_vary() -> None:
    assert Moments.of(np.full(7, 0.1)).variance[0] == 0.0


def test_a_group_that_is_not_there() -> None:
    with pytest.raises(IndexError):
        ExactSums.of(np.array([1.0]), np.array([3]), 3)
