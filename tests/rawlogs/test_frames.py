from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from plumbline.columns.rows import Rows
from plumbline.columns.typed import values_of
from plumbline.columns.values import NULL_INT64, Lists, Text, Values
from plumbline.rawlogs.frames import frame_of_rows, series

TEXT = Text.from_objects([b"a", b"", "\u00fc".encode()])


@pytest.mark.parametrize(
    ("values", "expected", "dtype"),
    [
        (np.array([1.5, np.nan], np.float32), [1.5, None], pl.Float32()),
        (np.array([3, NULL_INT64, 0]), [3, None, 0], pl.Int64()),
        (TEXT, ["a", None, "\u00fc"], pl.String()),
        (Lists(np.array([1, NULL_INT64]), np.array([0, 2, 2])), [[1, None], []], None),
        (Lists(TEXT, np.array([0, 0, 3])), [[], ["a", None, "\u00fc"]], None),
        (np.array([], np.int64), [], pl.Int64()),
        (Text.from_objects([]), [], pl.String()),
        (Lists(np.array([], np.int64), np.array([0])), [], None),
    ],
)
def test_values_become_nulls_and_back(
    values: Values, expected: list[object], dtype: pl.DataType | None
) -> None:
    found = series(values)
    assert found.to_list() == expected
    assert found.dtype == dtype or (dtype is None and isinstance(found.dtype, pl.List))
    again = values_of(found.to_arrow())
    assert series(again).to_list() == expected


def test_a_frame_has_the_click_last() -> None:
    rows = Rows({"b": np.array([1, 2]), "a": np.array([1.0, 2.0], np.float32)}, np.ones(2, np.int8))
    found = frame_of_rows(rows)
    assert found.columns == ["b", "a", "click"]
    assert found.rows() == [(1, 1.0, 1), (2, 2.0, 1)]
