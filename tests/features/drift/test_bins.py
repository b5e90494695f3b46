"""Counts equal those of plain Python, and the index that of SciPy's relative entropies."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import entropy

from plumbline.features.drift.bins import FEWEST, FREQUENT, IdBins, NumberBins, stability_index

FLOATS = st.floats(width=32, allow_infinity=False)


@settings(max_examples=100, deadline=None)
@given(st.lists(FLOATS, max_size=60), st.lists(FLOATS, max_size=60))
def test_numbers_are_counted_between_the_edges(made_of: list[float], counted: list[float]) -> None:
    bins = NumberBins.of(np.array(made_of, np.float32))
    edges = bins.edges.tolist()
    assert edges == sorted(set(edges)) and len(edges) <= 9
    wanted = [0] * (len(edges) + 2)
    for number in counted:
        is_missing = number != number
        wanted[-1 if is_missing else sum(edge <= number for edge in edges)] += 1
    counts = bins.count(np.array(counted, np.float32))
    assert counts.tolist() == wanted
    assert bins.missing(counts) == wanted[-1] and bins.unseen(counts) == 0


def test_the_bins_of_numbers_have_equal_counts() -> None:
    numbers = np.random.default_rng(1).permutation(np.arange(1000, dtype=np.float32))
    assert NumberBins.of(numbers).count(numbers).tolist() == [100] * 10 + [0]


IDS = st.integers(0, 40)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(IDS, max_size=200),
    st.lists(IDS, max_size=60),
    st.sampled_from([(range(2, 3), 1), (range(2, 6), 1), (range(0), -1)]),
)
def test_ids_are_counted_by_themselves_or_together(
    made_of: list[int], counted: list[int], special: tuple[range, int]
) -> None:
    unseen, null = special
    bins = IdBins.of(np.array(made_of, np.int64), unseen, null)
    known = Counter(one for one in made_of if one not in unseen and one != null)
    by_count = sorted(known, key=lambda one: (-known[one], one))
    assert bins.frequent == tuple(by_count[:FREQUENT])
    wanted = dict.fromkeys([*bins.frequent, "other", "unseen", "missing"], 0)
    for one in counted:
        kind = "missing" if one == null else "unseen" if one in unseen else "other"
        wanted[one if one in bins.frequent else kind] += 1
    counts = bins.count(np.array(counted, np.int64))
    assert counts.tolist() == list(wanted.values())
    assert bins.missing(counts) == wanted["missing"] and bins.unseen(counts) == wanted["unseen"]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 900), st.integers(1, 900)), min_size=1, max_size=30))
def test_the_index_is_the_sum_of_both_relative_entropies(pairs: list[tuple[int, int]]) -> None:
    p, q = np.array([*pairs, (FEWEST, FEWEST)]).T
    wanted = entropy(p + 0.5, q + 0.5) + entropy(q + 0.5, p + 0.5)
    assert stability_index(p, q) == pytest.approx(wanted, abs=1e-12)


def test_bins_that_are_empty_on_both_sides_do_not_count() -> None:
    one, other = np.array([900, 0, 100]), np.array([300, 0, 300])
    assert stability_index(one, other) == stability_index(one[[0, 2]], other[[0, 2]])
    assert stability_index(one, other * 50) == pytest.approx(stability_index(one, other), rel=0.02)
    assert stability_index(one, one) == 0.0


def test_too_few_values_have_no_index() -> None:
    enough = np.array([FEWEST])
    assert stability_index(enough, enough) == 0.0
    assert stability_index(enough, enough - 1) is None
    assert stability_index(enough - 1, enough) is None


def test_ids_may_be_as_large_as_they_like() -> None:
    """A table of all ids would take the memory of the machine."""
    bins = IdBins([2**62], range(2, 2**64), 1)
    assert bins.count(np.array([1, 2, 2**61, 0])).tolist() == [0, 1, 2, 1]
    most = 2**63 - 1
    assert IdBins([most, 5], range(0), -1).count(np.array([5, most, 7])).tolist()[:3] == [1, 1, 1]
