"""The distinct keys of a column, in native code and in NumPy."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plumbline.columns.values import NULL_INT64
from plumbline.features.statistics.keys import distinct

INTEGERS = st.sampled_from([NULL_INT64, 0, -1, 2**63 - 1]) | st.integers(0, 900)
WORDS = st.sampled_from([b"", b"a", b"a\0", b"more than eight bytes"]) | st.binary(max_size=2)
BOTH = st.lists(INTEGERS, max_size=1200).map(lambda some: pa.array(some, pa.int64())) | st.lists(
    WORDS, max_size=300
).map(lambda some: pa.array(some, pa.large_binary()))


@pytest.mark.usefixtures("implementation")
def test_distinct_keys() -> None:
    @given(BOTH)
    def in_order_of_occurrence(keys: pa.Array) -> None:
        values = keys.to_pylist()
        found, index = distinct(keys)
        assert found.to_pylist() == list(dict.fromkeys(values))
        assert found.take(pa.array(index)).to_pylist() == values

    in_order_of_occurrence()


@pytest.mark.usefixtures("implementation")
def test_a_slice_of_keys() -> None:
    keys = pa.array([b"x", b"b", b"a", b"b", b"y"], pa.large_binary()).slice(1, 3)
    found, index = distinct(keys)
    assert (found.to_pylist(), index.tolist()) == ([b"b", b"a"], [0, 1, 0])
    numbers, places = distinct(pa.array([9, 7, 7, 5]).slice(1))
    assert (numbers.to_pylist(), places.tolist()) == ([7, 5], [0, 0, 1])
    assert places.dtype == np.int64
