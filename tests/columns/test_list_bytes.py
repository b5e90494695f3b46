"""Lists packed and unpacked; damaged bytes are refused with their column and row."""

from __future__ import annotations

import struct

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plumbline.base.errors import PlanError
from plumbline.columns.list_bytes import pack, unpack_integers, unpack_texts
from plumbline.columns.values import NULL_INT64, Lists, Text, offsets_of

INT64 = st.integers(NULL_INT64, 2**63 - 1)


def integers(rows: list[list[int]]) -> Lists:
    flat = [value for row in rows for value in row]
    return Lists(np.array(flat, np.int64), offsets_of(np.array([len(r) for r in rows], np.int64)))


def texts(rows: list[list[str]]) -> Lists:
    flat = pa.array([value for row in rows for value in row], pa.string())
    lengths = np.array([len(row) for row in rows], np.int64)
    return Lists(Text.from_arrow(flat), offsets_of(lengths))


def packed(*rows: object) -> np.ndarray:
    array = np.empty(len(rows), np.object_)
    array[:] = rows
    return array


def same(one: Lists, other: Lists) -> bool:
    if not np.array_equal(one.offsets, other.offsets):
        return False
    if isinstance(one.values, Text) and isinstance(other.values, Text):
        return one.values.to_objects().tolist() == other.values.to_objects().tolist()
    return np.array_equal(np.asarray(one.values), np.asarray(other.values))


@given(st.lists(st.lists(INT64, max_size=5), max_size=20))
def test_integers_are_packed_and_unpacked(rows: list[list[int]]) -> None:
    packed_B = pack(integers(rows))
    assert packed_B.tolist() == [
        b"".join(v.to_bytes(8, "little", signed=True) for v in r) for r in rows
    ]
    assert same(unpack_integers("c", packed_B), integers(rows))


@given(st.lists(st.lists(st.text(max_size=4), max_size=5), max_size=20))
def test_texts_are_packed_and_unpacked(rows: list[list[str]]) -> None:
    packed_B = pack(texts(rows))
    assert packed_B.tolist() == [
        b"".join(struct.pack("<I", len(v.encode())) + v.encode() for v in row) for row in rows
    ]
    assert same(unpack_texts("c", packed_B), texts(rows))


def test_rows_of_very_different_lengths() -> None:
    rows = [["a"] * length for length in (*range(40), 5000, 0, 3)]
    assert same(unpack_texts("c", pack(texts(rows))), texts(rows))


@pytest.mark.parametrize("rows", [1, 12])
@pytest.mark.parametrize("data", [b"\x01", b"\x01\x00\x00\x00", b"\x02\x00\x00\x00a", b"\xff" * 4])
def test_a_length_beyond_the_row_is_refused(rows: int, data: bytes) -> None:
    good = b"\x01\x00\x00\x00a"
    with pytest.raises(PlanError, match=r"Column 'tags': .*a list in row 0 as each element as its"):
        unpack_texts("tags", packed(good + data, *[good * 3] * (rows - 1)))
    with pytest.raises(PlanError, match=rf"row {rows} as .* got a length that reaches beyond them"):
        unpack_texts("tags", packed(*[good * 3] * rows, data))


@given(st.lists(st.binary(max_size=12), max_size=12))
def test_any_bytes_are_read_or_refused(rows: list[bytes]) -> None:
    try:
        lists = unpack_texts("c", packed(*rows))
    except PlanError:
        return
    assert pack(lists).tolist() == rows


def test_bytes_that_are_not_whole_integers_are_refused() -> None:
    message = r"Column 'ids': .* list in row 1 as 8 bytes an integer, got 9 bytes"
    with pytest.raises(PlanError, match=message):
        unpack_integers("ids", packed(b"", bytes(9)))


@pytest.mark.parametrize("unpack", [unpack_integers, unpack_texts])
def test_other_objects_than_bytes_are_refused(unpack) -> None:
    with pytest.raises(PlanError, match=r"Column 'c': .* a list in row 1 as bytes, got str"):
        unpack("c", packed(b"", "x"))
