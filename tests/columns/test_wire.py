"""Raw tables as the tensors of a request, and back."""

from __future__ import annotations

import decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plumbline.base.errors import PlanError
from plumbline.columns.value_rules.rules import ValueRules
from plumbline.columns.values import Lists, Text
from plumbline.columns.wire import NULL_INT64, WireColumns, from_tensors, to_tensors

COLUMNS = WireColumns.of({"x": "continuous", "i": "integer", "h": "hex", "s": "string"})
LISTS = WireColumns.of({"t": "string_list", "n": "integer_list", "h": "hex_list"})


def table(**columns: object) -> pa.Table:
    whole = {"x": [0.5], "i": [1], "h": [2], "s": ["a"]}
    return pa.table({**whole, **columns})


def test_missing_values_become_null_marks() -> None:
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


def test_all_problems_of_a_table_are_named() -> None:
    wrong = pa.table({"x": ["a"], "h": [1], "s": [[2]]})
    with pytest.raises(
        PlanError, match=r"missing i\. Column 'x': .*number.* Column 's' is List.*text"
    ):
        to_tensors(wrong, COLUMNS)


@pytest.mark.parametrize("times", [1, 150], ids=["few rows", "many rows"])
@given(values=st.lists(st.none() | st.integers(0, 2**63 - 1), min_size=1))
def test_hexadecimal_text_equals_integers(times: int, values: list[int | None]) -> None:
    values = values * times
    columns = WireColumns.of({"h": "hex"})
    text = pa.table({"h": pa.array([None if v is None else f"{v:x}" for v in values], pa.string())})
    integers = pa.table({"h": pa.array(values, pa.int64())})
    np.testing.assert_array_equal(
        to_tensors(text, columns)["categorical_int64"],
        to_tensors(integers, columns)["categorical_int64"],
    )


@pytest.mark.parametrize("text", ["xyz", "-1", "0x1f", "f f", "1_0", "0" * 17])
@pytest.mark.parametrize("others", [0, 150])
def test_text_that_the_ingest_refuses_as_hexadecimal_is_refused(text: str, others: int) -> None:
    message = f"Column 'h': wanted up to 16 hexadecimal digits, found {text!r} in row {others}"
    with pytest.raises(PlanError, match=message):
        to_tensors(pa.table({"h": ["ff"] * others + [text, "", "A"]}), WireColumns.of({"h": "hex"}))


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("x", ["1,5"], "Column 'x': wanted a finite float32 number, found '1,5' in row 0"),
        ("x", [[1.5]], "Column 'x' is List.* wanted text or numbers or booleans for kind 'contin"),
        ("i", [1.5], "Column 'i': wanted a 64-bit integer, found 1.5 in row 0"),
        ("i", ["ff"], "Column 'i': wanted a 64-bit integer, found 'ff' in row 0"),
        ("h", [1.5], "Column 'h': wanted up to 16 hexadecimal digits, found 1.5 in row 0"),
        ("h", [True], "Column 'h' is Boolean, wanted text or numbers for kind 'hex'"),
        ("s", [7.5], "Column 's': wanted text or a whole number, found 7.5 in row 0"),
    ],
)
def test_a_type_that_does_not_fit_is_refused(column: str, values: object, message: str) -> None:
    with pytest.raises(PlanError, match=message):
        to_tensors(table(**{column: values}), COLUMNS)


@pytest.mark.parametrize("value", [1e300, 1e39, -1e39, np.inf, "1e39", "inf", 10**39])
def test_numbers_that_are_infinite_in_float32_are_refused(value: object) -> None:
    infinite = decimal.Decimal(value) if isinstance(value, int) else value
    for others in ([], [1.0] * 100 if isinstance(value, float) else []):
        with np.errstate(all="raise"), pytest.raises(PlanError, match="wanted a finite float32"):
            to_tensors(pa.table({"x": [*others, infinite]}), WireColumns.of({"x": "continuous"}))


def test_typed_rows_are_not_checked_and_raw_rows_are() -> None:
    typed = pa.table(
        {"x": pa.array([np.inf], pa.float32()), "i": [NULL_INT64], "h": [1], "s": [""]}
    )
    tensors = to_tensors(typed, COLUMNS)
    assert tensors["continuous"].tolist() == [[np.inf]]
    assert tensors["categorical_int64"].tolist() == [[NULL_INT64, 1]]
    with pytest.raises(PlanError, match=r"'x': wanted a finite .* 'i': wanted a 64-bit integer"):
        to_tensors(typed, COLUMNS, ValueRules())


def test_integers_are_rounded_to_float32() -> None:
    assert to_tensors(table(x=[2**53 + 1]), COLUMNS)["continuous"].tolist() == [[2.0**53]]


def test_missing_columns_are_named() -> None:
    with pytest.raises(PlanError, match=r"do not fit the feature plan: missing h, x\."):
        to_tensors(table().drop_columns(["x", "h"]), COLUMNS)


def lists(text: type[pa.DataType] | None = None, list_type: object = pa.list_) -> pa.Table:
    return pa.table(
        {
            "t": pa.array([["é", None, ""], [], None, ["a"]], list_type(text or pa.string())),
            "n": pa.array([[1, None], None, [], [-(2**63) + 1]], list_type(pa.int64())),
            "h": pa.array([["ff", "", None], [], None, ["A"]], list_type(pa.string())),
        }
    )


@pytest.mark.parametrize("text", [pa.string(), pa.large_string()])
@pytest.mark.parametrize("list_type", [pa.list_, pa.large_list])
def test_a_list_is_a_bytes_object(list_type: object, text: pa.DataType) -> None:
    table = lists(text, list_type)
    chunked = pa.concat_tables([table.slice(0, 1), table.slice(1)])
    for raw in (table, chunked):
        tensors = to_tensors(raw, LISTS)
        assert {n: (t.shape, t.dtype) for n, t in tensors.items()} == {
            "list_int64": ((4, 2), np.object_),
            "list_bytes": ((4, 1), np.object_),
        }
        values = from_tensors(tensors, LISTS)
        assert list(values) == ["n", "h", "t"]
        t, n, h = values["t"], values["n"], values["h"]
        assert isinstance(t, Lists) and isinstance(n, Lists) and isinstance(h, Lists)
        assert isinstance(t.values, Text)
        assert t.offsets.tolist() == [0, 3, 3, 3, 4]
        assert t.values.to_objects().tolist() == ["é".encode(), b"", b"", b"a"]
        assert n.offsets.tolist() == [0, 2, 2, 2, 3]
        assert n.values.tolist() == [1, NULL_INT64, -(2**63) + 1]
        assert h.offsets.tolist() == [0, 3, 3, 3, 4]
        assert h.values.tolist() == [255, NULL_INT64, NULL_INT64, 10]


def test_fixed_size_lists_and_values_hidden_under_nulls() -> None:
    columns = WireColumns.of({"n": "integer_list"})
    fixed = pa.table({"n": pa.array([[1, 2], None, [3, None]], pa.list_(pa.int32(), 2))})
    masked = pa.ListArray.from_arrays([0, 2, 3], pa.array([1, 2, 9]), mask=pa.array([False, True]))
    for raw, offsets, values in (
        (fixed, [0, 2, 2, 4], [1, 2, 3, NULL_INT64]),
        (pa.table({"n": masked}), [0, 2, 2], [1, 2]),
    ):
        result = from_tensors(to_tensors(raw, columns), columns)["n"]
        assert isinstance(result, Lists)
        assert (result.offsets.tolist(), result.values.tolist()) == (offsets, values)


def test_lists_without_rows_or_elements() -> None:
    none = from_tensors(to_tensors(lists().slice(0, 0), LISTS), LISTS)
    assert [len(values) for values in none.values()] == [0, 0, 0]
    for raw in (
        pa.table({name: pa.nulls(2) for name in LISTS.names}),
        pa.table({name: pa.array([[], None], pa.list_(pa.null())) for name in LISTS.names}),
    ):
        assert to_tensors(raw, LISTS)["list_int64"].tolist() == [[b"", b""], [b"", b""]]
        result = from_tensors(to_tensors(raw, LISTS), LISTS)
        assert [len(values) for values in result.values()] == [2, 2, 2]
    nulls = pa.table({name: pa.array([[None]], pa.list_(pa.null())) for name in LISTS.names})
    result = from_tensors(to_tensors(nulls, LISTS), LISTS)
    assert [values.offsets.tolist() for values in result.values()] == [[0, 1]] * 3


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("t", ["a"], "Column 't' is String, wanted lists for kind 'string_list'; name list_sep"),
        ("t", [[1.5]], "Column 't': wanted a list, each element text or a whole number, found "),
        ("n", [["x"]], "Column 'n': wanted a list, each element a 64-bit integer, found .'x'. in"),
        ("n", [[1.5]], "Column 'n': wanted a list, each element a 64-bit integer, found .1.5. in"),
        ("n", [[[1]]], "Column 'n' is List.* wanted text or numbers or booleans for kind 'integer"),
        ("h", [["xyz"]], "Column 'h': wanted a list, each element up to 16 hexadecimal digits, "),
    ],
)
def test_lists_of_a_type_that_does_not_fit_are_refused(
    column: str, values: object, message: str
) -> None:
    with pytest.raises(PlanError, match=message):
        to_tensors(pa.table({"t": [["a"]], "n": [[1]], "h": [["f"]], column: values}), LISTS)


def test_from_tensors_returns_values_by_name() -> None:
    raw = table(x=[None], i=[None], s=["é"])
    values = from_tensors(to_tensors(raw, COLUMNS), COLUMNS)
    assert list(from_tensors(to_tensors(raw, COLUMNS), COLUMNS, ["s", "i"])) == ["i", "s"]
    assert list(values) == ["x", "i", "h", "s"]
    assert np.isnan(values["x"]).tolist() == [True]
    assert [values["i"].tolist(), values["h"].tolist()] == [[NULL_INT64], [2]]
    assert isinstance(values["s"], Text)
    assert values["s"].to_objects().tolist() == ["é".encode()]


def test_requests_that_do_not_fit_are_refused() -> None:
    good = to_tensors(lists(), LISTS)
    with pytest.raises(PlanError, match="missing list_int64; unexpected continuous"):
        from_tensors({"list_bytes": good["list_bytes"], "continuous": np.zeros((4, 1))}, LISTS)
    for name, tensor, message in (
        ("list_bytes", good["list_bytes"][:, 0], r"'list_bytes': .* shape \(rows, 1\), got"),
        ("list_bytes", np.zeros((4, 1), "S3"), "'list_bytes': .* wants object, got"),
        ("list_bytes", good["list_bytes"][:3], r"need the same number of rows, got \[3, 4\]"),
        ("list_int64", np.full((4, 2), b"abc", np.object_), "Column 'n': .*row 0 as 8 bytes"),
        ("list_bytes", np.full((4, 1), b"abc", np.object_), "Column 't': .*row 0 as each element"),
    ):
        with pytest.raises(PlanError, match=message):
            from_tensors({**good, name: tensor}, LISTS)
    text = WireColumns.of({"s": "string"})
    with pytest.raises(PlanError, match="Column 's': the feature plan wants bytes, got str"):
        from_tensors({"categorical_bytes": np.array([["x"]], np.object_)}, text)
