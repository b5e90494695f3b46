"""Keys of several columns: packing, equality and unpacking."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from plumbline.columns.keys import is_all_missing, pack, part_values, unpack

INTEGERS = st.none() | st.integers(-(2**63) + 1, 2**63 - 1)
WORDS = st.none() | st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=3)
ROWS = st.lists(st.tuples(INTEGERS, WORDS, WORDS), max_size=8)


def arrays(rows: list[Any]) -> list[pa.Array]:
    types = (pa.int64(), pa.string(), pa.string())
    return [pa.array([row[n] for row in rows], type_) for n, type_ in enumerate(types)]


@given(ROWS)
def test_unpack_is_the_inverse_of_pack(rows: list[Any]) -> None:
    parts = arrays(rows)
    keys = pack([part_values(part) for part in parts])
    assert [p.to_pylist() for p in unpack(keys, [False, True, True])] == [
        p.to_pylist() for p in parts
    ]


@given(ROWS)
def test_keys_are_equal_if_all_parts_are(rows: list[Any]) -> None:
    keys = pack([part_values(part) for part in arrays(rows)]).to_objects().tolist()
    for row, key in zip(rows, keys, strict=True):
        for other_row, other_key in zip(rows, keys, strict=True):
            assert (row == other_row) == (key == other_key)


def test_a_key_is_missing_if_all_parts_are() -> None:
    parts = [part_values(p) for p in arrays([(None, None, None), (None, "a", None), (0, None, "")])]
    assert is_all_missing(parts).tolist() == [True, False, False]
    assert is_all_missing(parts[:1]).tolist() == [True, True, False]
    assert np.array_equal(pack(parts).offsets[:2], [0, 16])
