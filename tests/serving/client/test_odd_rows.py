"""Odd values from callers: the same meaning as in a log, or an error of one line."""

from __future__ import annotations

import datetime
import json
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from plumbline.base.errors import PlanError
from plumbline.columns.value_rules.rules import ValueRules
from plumbline.columns.values import NULL_INT64
from plumbline.columns.wire import WireColumns, to_tensors
from plumbline.serving.client.core import ServedModel
from plumbline.serving.client.tables import to_table
from plumbline.serving.client.transport import ModelConfig
from plumbline.serving.errors import ServerError

KINDS: Any = {"x": "continuous", "i": "integer", "s": "string"}
COLUMNS = WireColumns.of(KINDS)


def wire(value: Any, rules: ValueRules | None = None) -> tuple[Any, Any, Any]:
    """One value as the wire's number, integer and text."""
    data = dict.fromkeys(KINDS, value)
    tensors = to_tensors(to_table(data, COLUMNS.names), COLUMNS, rules or ValueRules())
    assert all(len(tensor) == 1 for tensor in tensors.values())
    x, i, s = (tensor[0, 0] for tensor in tensors.values())
    return (None if np.isnan(x) else float(x)), (None if i == NULL_INT64 else int(i)), s


MISSING = [
    None, float("nan"), pd.NaT, pd.NA, np.float32("nan"), np.datetime64("NaT"), Decimal("NaN"), "",
]  # fmt: skip


@pytest.mark.parametrize("value", MISSING, ids=repr)
def test_a_missing_value_is_missing_in_every_kind(value: Any) -> None:
    if isinstance(value, np.datetime64):
        # Of its type there is no other value, and no kind but string takes it.
        table = to_table({"s": value}, ["s"])
        columns = WireColumns.of({"s": "string"})
        assert to_tensors(table, columns, ValueRules())["categorical_bytes"].tolist() == [[b""]]
        return
    assert wire(value) == (None, None, b"")


@pytest.mark.parametrize(
    "value",
    [
        7, 7.0, np.int8(7), np.uint64(7), np.float32(7), np.float16(7), Decimal("7"),
        Decimal("7.00"), "7", b"7", np.str_("7"), np.bytes_(b"7"), np.array(7), np.array("7"),
    ],
    ids=repr,
)  # fmt: skip
def test_seven_is_seven_in_every_kind(value: Any) -> None:
    assert wire(value) == (7.0, 7, b"7")


def test_booleans_and_large_integers() -> None:
    assert wire(True) == wire(np.bool_(True)) == (1.0, 1, b"true")
    assert wire(2**64 - 1) == (2.0**64, -1, b"18446744073709551615")


REFUSED = [
    (datetime.date(2020, 1, 1), "Column 'x' is Date, .*kinds that take it: string, time"),
    (pd.Timestamp("2020"), "Column 'x' is Datetime"),
    (datetime.time(1), "Column 'x' is Time, .*write it as text, numbers"),
    (datetime.timedelta(1), "Column 'x' is Duration"),
    ("\ud800", r"Column 'x': .* wants text, got '.ud800', which is not valid UTF-8"),
    (
        b"\xff",
        r"Column 's': wanted text or a whole number, found b'.xff' in row 0, which is no UTF",
    ),
    (2**64, "Column 'i': wanted a 64-bit integer, found '18446744073709551616' in row 0"),
    (float("inf"), "Column 'x': wanted a finite float32 number, found inf in row 0"),
    (1e39, r"Column 'x': wanted a finite float32 number, found 1e\+39 in row 0"),
    (Decimal("Infinity"), "Column 'x': the feature plan wants values of one type"),
    (1 + 2j, "Column 'x': the feature plan wants values of one type"),
    ("0x10", "Column 'i': wanted a 64-bit integer, found '0x10' in row 0"),
]


@pytest.mark.parametrize(("value", "message"), REFUSED, ids=[repr(v) for v, _ in REFUSED])
def test_an_error_is_one_line_with_the_column(value: Any, message: str) -> None:
    with pytest.raises(PlanError, match=message) as raised:
        wire(value)
    assert "\n" not in str(raised.value)


COLUMNS_OF_ONE = [
    (pd.Series([1, None], dtype="Int64"), [1, None]),
    (pd.Series(["1", None], dtype="string"), [1, None]),
    (pd.Series([True, None], dtype="boolean"), [1, None]),
    (pd.Series([1.0, np.nan]), [1, None]),
    (pd.Series(pd.arrays.SparseArray([0, 0, 1])), [0, 0, 1]),
    (pd.Series(["1", np.nan], dtype="category"), [1, None]),
    (pd.Series([1, pd.NA, None, np.nan], dtype=object), [1, None, None, None]),
    (np.ma.masked_array([1, 2], [0, 1]), [1, None]),
    (np.array(["1", "2"]), [1, 2]),
    (np.array([b"1"]), [1]),
    (np.array([Decimal(1), None], object), [1, None]),
    ([2**63 + 5, 7], [5 - 2**63, 7]),
    (pl.Series([1, None], dtype=pl.Object), [1, None]),
    (pl.Series([1, None], dtype=pl.Int128), [1, None]),
    (pl.Series(["1"], dtype=pl.Enum(["1"])), [1]),
    (pa.array([b"1", None], pa.binary_view()), [1, None]),
    (range(2), [0, 1]),
]


@pytest.mark.parametrize(("column", "values"), COLUMNS_OF_ONE, ids=lambda v: type(v).__name__)
def test_columns_of_many_types(column: Any, values: list[Any]) -> None:
    columns = WireColumns.of({"i": "integer"})
    found = to_tensors(to_table({"i": column}, ["i"]), columns, ValueRules())
    codes = found["categorical_int64"][:, 0].tolist()
    assert [None if code == NULL_INT64 else code for code in codes] == values


@pytest.mark.parametrize(
    "column",
    [
        [1, "a"], [1, True], [[1], 2], [2**63, -1], [object()], [{"a": 1}], {"a": 1}, {1, 2},
        pd.Series([1, "a"]), pd.Series(pd.period_range("2020", periods=2)), pd.Series([1 + 2j]),
        pd.Series(pd.interval_range(0, 2)), np.array([[1, 2]]), pl.Series([object()]),
        pl.Series([{"a": 1}]), pa.array([(1, 2, 3)], pa.month_day_nano_interval()),
        pd.Series([pd.NaT, pd.Timestamp("2020")]),
    ],
    ids=lambda v: type(v).__name__,
)  # fmt: skip
def test_other_objects_as_columns_are_refused(column: Any) -> None:
    columns = WireColumns.of({"i": "integer"})
    with pytest.raises(PlanError, match=r"^Column 'i'") as raised:
        to_tensors(to_table({"i": column}, ["i"]), columns, ValueRules())
    assert "\n" not in str(raised.value)


def test_lists_of_one_row_of_many_types() -> None:
    columns = WireColumns.of({"n": "integer_list", "i": "integer"})
    wanted = np.array([1, 2], "<i8").tobytes()
    for many in ([1, 2], (1, 2), np.array([1.0, 2.0]), pd.Series([1, 2]), pl.Series([1, 2])):
        for data in ({"n": many, "i": 1}, [{"n": many, "i": 1}]):
            found = to_tensors(to_table(data, columns.names), columns, ValueRules())
            assert found["list_int64"].tolist() == [[wanted]]


def served(**parameters: str) -> ServedModel:
    return ServedModel(ModelConfig("ctr", 64, {"kinds": json.dumps(KINDS), **parameters}))


def test_a_client_reads_values_with_the_rules_of_its_models_log() -> None:
    row = {"x": "1.234,5", "i": "NA", "s": " a "}
    log = {"missing": ["NA"], "decimal": ",", "thousands": ".", "trim": True, "separator": ";"}
    x, i, s = (tensor[0, 0] for tensor in served(log=json.dumps(log)).tensors(row).values())
    assert (x, i, s) == (1234.5, NULL_INT64, b"a")
    with pytest.raises(PlanError, match=r"'x': .* found '1\.234,5' .*'i': .* found 'NA' in row 0"):
        served().tensors(row)
    for text in ("[]", "{", '{"missing": 1}'):
        with pytest.raises(ServerError, match="this Plumbline does not know the rules of the log"):
            served(log=text)
