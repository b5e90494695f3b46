"""The value rules read every type of a Parquet file."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from plumbline.columns.value_rules.arrow_types import TypeRefused, simple
from plumbline.rawlogs.raw_rows import read_raw_rows
from plumbline.settings import Table

LARGE = 2**64 - 1
PRECISE = Decimal("1234567890123456789012345678901234567890.25")


def polars_column(column: pa.Array) -> pl.Series:
    return pl.Series("x", simple("x", pa.chunked_array([column])))


def dictionary(values: pa.Array) -> pa.Array:
    indices = pa.array([1, None, 0], pa.int8())
    return pa.DictionaryArray.from_arrays(indices, values)


@pytest.mark.parametrize(
    ("column", "values"),
    [
        (pa.array([LARGE, None], pa.uint64()), [LARGE, None]),
        (pa.array([Decimal("1.5"), None], pa.decimal128(30, 2)), [Decimal("1.50"), None]),
        (pa.array([PRECISE, None], pa.decimal256(60, 2)), [str(PRECISE), None]),
        (pa.array([[PRECISE], None], pa.list_(pa.decimal256(60, 2))), [[str(PRECISE)], None]),
        (pa.array(["a", None, ""], pa.string_view()), ["a", None, ""]),
        (pa.array([b"\xff", None], pa.binary_view()), [b"\xff", None]),
        (pa.array(["a", None], pa.large_string()), ["a", None]),
        (pa.array([b"\xff", None], pa.large_binary()), [b"\xff", None]),
        (pa.array([b"abc", None], pa.binary(3)), [b"abc", None]),
        (pa.array([[1, None], None, []], pa.list_(pa.int8())), [[1, None], None, []]),
        (pa.array([[1], None, []], pa.large_list(pa.int8())), [[1], None, []]),
        (pa.array([[1], None, []], pa.list_view(pa.int8())), [[1], None, []]),
        (pa.array([["a"], None], pa.large_list_view(pa.string_view())), [["a"], None]),
        (pa.array([[1, 2], None], pa.list_(pa.int8(), 2)), [[1, 2], None]),
        (pa.array([np.float16(1.5), None], pa.float16()), [1.5, None]),
        (dictionary(pa.array([1, 2], pa.uint64())), [2, None, 1]),
        (dictionary(pa.array([1.5, 2.5])), [2.5, None, 1.5]),
        (dictionary(pa.array(["a", "b"], pa.large_string())), ["b", None, "a"]),
        (dictionary(pa.array(["a", "b"], pa.string_view())), ["b", None, "a"]),
        (dictionary(pa.array([b"a", b"b"])), [b"b", None, b"a"]),
        (dictionary(pa.array([True, False])), [False, None, True]),
        (dictionary(pa.array([[1], [2]])), [[2], None, [1]]),
        (dictionary(pa.array([PRECISE, None], pa.decimal256(60, 2))), [None, None, str(PRECISE)]),
        (pa.RunEndEncodedArray.from_arrays([2, 3], ["a", "b"]), ["a", "a", "b"]),
        (pa.array([1, None], pa.int64()).cast(pa.timestamp("us")).cast(pa.int64()), [1, None]),
        (pa.ExtensionArray.from_storage(pa.bool8(), pa.array([1, None], pa.int8())), [1, None]),
    ],
)
def test_values_are_those_of_the_file(column: pa.Array, values: list[Any]) -> None:
    assert polars_column(column).to_list() == values
    assert polars_column(column.slice(1)).to_list() == values[1:]
    assert polars_column(column.slice(0, 0)).to_list() == []


@pytest.mark.parametrize("large", [False, True])
def test_text_that_is_not_utf_8_is_bytes(large: bool) -> None:
    kinds = (pa.large_binary(), pa.large_string()) if large else (pa.binary(), pa.string())
    column = pa.array([b"a", b"\xff\xfe", None], kinds[0]).view(kinds[1])
    assert polars_column(column).to_list() == [b"a", b"\xff\xfe", None]
    assert polars_column(column.slice(0, 1)).dtype == pl.String
    lists = pa.ListArray.from_arrays(pa.array([0, 2, 3], pa.int32()), column)
    if not large:
        assert polars_column(lists).to_list() == [[b"a", b"\xff\xfe"], [None]]


def test_a_type_that_is_not_read_is_named() -> None:
    column = pa.array([None], pa.month_day_nano_interval())
    with pytest.raises(TypeRefused, match=r"column 'x' is month_day_nano_interval, wanted"):
        polars_column(column)


def test_unused_columns_may_have_any_type(tmp_path: Path) -> None:
    file = tmp_path / "log"
    table = pa.table(
        {
            "struct": [{"y": 1}] * 3,
            "map": pa.array([[("a", 1)]] * 3, pa.map_(pa.string(), pa.int64())),
            "y.z": [7, 8, 9],
            "y": [0, 1, 0],
            "nested": pa.array([[[{"a": [1]}]]] * 3),
            "precise": pa.array([PRECISE] * 3, pa.decimal256(60, 2)),
            "": ["a", "b", "c"],
        }
    )
    pq.write_table(table, file)
    columns = {"y": "label", "y.z": "integer"}
    config = Table.model_validate({"columns": columns, "format": "parquet"})
    (raw,) = read_raw_rows(file, config, ["y", "y.z"])
    assert raw.columns.rows() == [(0, 7), (1, 8), (0, 9)]
    assert raw.numbers.tolist() == [1, 2, 3]
    (raw,) = read_raw_rows(file, config, ["y"])
    assert raw.columns.columns == ["y"]
