"""Raw tables as tensors."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from features.errors import PlanError
from features.wire import NULL_INT64, WireColumns, to_tensors

COLUMNS = WireColumns.of({"x": "continuous", "i": "integer", "h": "hex", "s": "string"})


def table(**columns: object) -> pa.Table:
    whole = {"x": [0.5], "i": [1], "h": [2], "s": ["a"]}
    return pa.table({**whole, **columns})


def test_missing_values_have_their_marks() -> None:
    raw = {
        "s": ["é", "", None],
        "x": pa.array([1.5, None, float("nan")], pa.float32()),
        "i": pa.array([2**63 - 1, None, -1], pa.int64()),
        "h": [None, "ff", ""],
        "unknown": [1, 2, 3],
    }
    tensors = to_tensors(pa.table(raw), COLUMNS)
    assert list(tensors) == ["continuous", "categorical_int64", "categorical_bytes"]
    np.testing.assert_array_equal(tensors["continuous"][:, 0], [1.5, np.nan, np.nan])
    assert tensors["continuous"].dtype == np.float32
    assert tensors["categorical_int64"].tolist() == [
        [2**63 - 1, NULL_INT64],
        [NULL_INT64, 255],
        [-1, NULL_INT64],
    ]
    assert tensors["categorical_bytes"].tolist() == [["é".encode()], [b""], [b""]]


def test_a_tensor_without_columns_is_left_out() -> None:
    assert list(to_tensors(table(), WireColumns.of({"s": "string"}))) == ["categorical_bytes"]


def test_columns_of_nulls_and_tables_without_rows() -> None:
    nulls = pa.table({name: pa.nulls(2) for name in COLUMNS.names})
    assert to_tensors(nulls, COLUMNS)["categorical_int64"].tolist() == [[NULL_INT64] * 2] * 2
    empty = to_tensors(table().slice(0, 0), COLUMNS)
    assert {name: tensor.shape for name, tensor in empty.items()} == {
        "continuous": (0, 1),
        "categorical_int64": (0, 2),
        "categorical_bytes": (0, 1),
    }


@given(st.lists(st.none() | st.integers(0, 2**63 - 1), min_size=1))
def test_hexadecimal_text_and_integers_are_one(values: list[int | None]) -> None:
    columns = WireColumns.of({"h": "hex"})
    text = pa.table({"h": pa.array([None if v is None else f"{v:x}" for v in values], pa.string())})
    integers = pa.table({"h": pa.array(values, pa.int64())})
    np.testing.assert_array_equal(
        to_tensors(text, columns)["categorical_int64"],
        to_tensors(integers, columns)["categorical_int64"],
    )


@pytest.mark.parametrize("text", ["xyz", "-1", "0x1f", " ff", "1_0", "8000000000000000", "0" * 17])
def test_what_the_ingest_would_not_take_as_hexadecimal_is_refused(text: str) -> None:
    with pytest.raises(
        PlanError, match=r"Column 'h': .* wants up to 16 hexadecimal digits, 63 bit"
    ):
        to_tensors(table(h=[text]), COLUMNS)


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("x", ["1.5"], "Column 'x': the feature plan wants numbers, got string"),
        ("i", [1.0], "Column 'i': the feature plan wants integers, got double"),
        ("i", ["ff"], "Column 'i': the feature plan wants integers, got string"),
        ("h", [1.0], "Column 'h': the feature plan wants integers or hexadecimal text, got double"),
        ("s", [7], "Column 's': the feature plan wants strings, got int64"),
        ("i", pa.array([2**63], pa.uint64()), "wants 64-bit signed integers, got uint64"),
    ],
)
def test_a_type_that_does_not_fit_is_refused(column: str, values: object, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        to_tensors(table(**{column: values}), COLUMNS)


def test_numbers_beyond_float32() -> None:
    with np.errstate(all="raise"):
        tensors = to_tensors(table(x=[1e300]), COLUMNS)
    assert tensors["continuous"].tolist() == [[np.inf]]
    assert to_tensors(table(x=[2**53 + 1]), COLUMNS)["continuous"].tolist() == [[2.0**53]]


def test_missing_columns_are_named() -> None:
    with pytest.raises(PlanError, match=r"do not fit the feature plan: missing h, x\."):
        to_tensors(table().drop_columns(["x", "h"]), COLUMNS)
