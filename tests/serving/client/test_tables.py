"""Rows of many types become the same Arrow columns."""

import subprocess
import sys
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from plumbline.base.errors import PlanError
from plumbline.columns.value_rules.rules import ValueRules
from plumbline.columns.values import NULL_INT64, Lists, Text
from plumbline.columns.wire import WireColumns, from_tensors, to_tensors
from plumbline.serving.client.tables import to_table

LISTS = {"n": [1, None], "x": [0.5, None], "s": ["a", None]}
COLUMNS = ("s", "n", "x")


@pytest.mark.parametrize(
    "data",
    [
        LISTS,
        pa.table(LISTS),
        pl.DataFrame(LISTS),
        pd.DataFrame(LISTS),
        pd.DataFrame({**LISTS, "s": pd.Categorical(LISTS["s"])}),
        pl.DataFrame({**LISTS, "s": pl.Series(LISTS["s"], dtype=pl.Categorical)}),
        pa.record_batch(LISTS),
        pa.table(LISTS).to_reader(),
        [{"x": 0.5, "n": 1, "s": "a", "other": 1}, {"s": None, "n": None, "x": None}],
        {name: pd.Series(values) for name, values in LISTS.items()},
        {name: pl.Series(values) for name, values in LISTS.items()},
        {n: np.array(LISTS[n], object if n == "s" else float) for n in COLUMNS},
        {"s": ("a", None), "n": pa.array([1, None]), "x": pa.chunked_array([[0.5], [None]])},
    ],
    ids=[
        "lists", "arrow", "polars", "pandas", "pandas categories", "polars categories",
        "record batch", "stream", "rows", "pandas series", "polars series", "numpy", "mixed",
    ],
)  # fmt: skip
def test_every_type_gives_the_same_values_in_plain_types(data: object) -> None:
    table = to_table(data, COLUMNS)
    assert table.column_names == list(COLUMNS)
    assert table.to_pydict() == {name: LISTS[name] for name in COLUMNS}
    assert table.schema.field("n").type == pa.int64()
    assert table.schema.field("x").type == pa.float64()
    assert table.schema.field("s").type in (pa.string(), pa.large_string())


RAGGED = {"t": [["a", None], [], None], "n": [[1, None], None, []]}
TEXT = pl.List(pl.Categorical)


@pytest.mark.parametrize(
    "data",
    [
        RAGGED,
        pa.table(RAGGED),
        pl.DataFrame(RAGGED),
        pd.DataFrame(RAGGED),
        pd.DataFrame({"t": RAGGED["t"], "n": [np.array([1.0, np.nan]), None, np.array([])]}),
        pl.DataFrame({"t": pl.Series(RAGGED["t"], dtype=TEXT), "n": pl.Series(RAGGED["n"])}),
    ],
    ids=["lists", "arrow", "polars", "pandas", "pandas arrays", "polars categories"],
)
def test_lists_of_every_type_are_the_same_request(data: object) -> None:
    columns = WireColumns.of({"t": "string_list", "n": "integer_list"})
    values = from_tensors(to_tensors(to_table(data, columns.names), columns), columns)
    t, n = values["t"], values["n"]
    assert isinstance(t, Lists) and isinstance(n, Lists) and isinstance(t.values, Text)
    assert (t.offsets.tolist(), t.values.to_objects().tolist()) == ([0, 2, 2, 2], [b"a", b""])
    assert (n.offsets.tolist(), n.values.tolist()) == ([0, 2, 2, 2], [1, NULL_INT64])


def test_other_columns_are_ignored() -> None:
    data = pd.DataFrame({"n": [1], "mixed": [object()]})
    assert to_table(data, ["n", "absent"]).column_names == ["n"]


@pytest.mark.parametrize("type_", [pa.string(), pa.dictionary(pa.int32(), pa.string())])
def test_no_rows(type_: pa.DataType) -> None:
    empty = pa.table({"s": pa.chunked_array([], type_)})
    assert to_table(empty, ["s"]).num_rows == 0


def test_errors_name_the_row_or_column() -> None:
    with pytest.raises(PlanError, match=r"Column 'n': .*values of one type.*tried to convert"):
        to_table({"n": [1, "a"]}, ["n"])
    with pytest.raises(PlanError, match=r"Column 'n': the feature plan wants a list.*got object"):
        to_table({"n": object()}, ["n"])
    with pytest.raises(PlanError, match="number of rows: n 1, x 2"):
        to_table({"n": [1], "x": [1.0, 2.0]}, ["n", "x"])
    with pytest.raises(PlanError, match=r"wanted a mapping .* got int"):
        to_table(1, ["n"])
    with pytest.raises(PlanError, match=r"row of a list as a mapping .* got int in row 0"):
        to_table([1, 2], ["n"])
    with pytest.raises(PlanError, match=r"row 1 has no x, n\. Every row .* in JSON null"):
        to_table([{"n": 1, "x": 1.0}, {"s": "a"}], ["x", "n"])
    with pytest.raises(PlanError, match=r"got LazyFrame\. Call collect\(\) on it"):
        to_table(pl.LazyFrame(LISTS), COLUMNS)


@pytest.mark.parametrize("form", [list, lambda n: np.array(n, object), pd.Series])
def test_integers_of_any_size_keep_their_digits(form: Any) -> None:
    columns = {"n": form([2**63, None, 7]), "m": form([2**64, None, -1])}
    found = to_table(columns, ["n", "m"]).to_pydict()
    assert found == {"n": [2**63, None, 7], "m": [str(2**64), None, "-1"]}
    lists = to_table({"l": [[2**64 - 1, 5], None, []], "m": [[-1, 2**63], [None], []]}, ["l", "m"])
    assert lists.to_pydict() == {
        "l": [[2**64 - 1, 5], None, []],
        "m": [["-1", str(2**63)], [None], []],
    }


def test_large_integers_are_numbers_and_ids_and_text() -> None:
    columns = WireColumns(("x",), ("i",), ("s",), integer_list=("l",))
    rows = {"x": 10**30, "i": 2**64 - 1, "s": 10**30, "l": [2**64 - 1]}
    tensors = to_tensors(to_table(rows, columns.names), columns, ValueRules())
    found = from_tensors(tensors, columns)
    assert found["x"].tolist() == [np.float32(1e30)]
    assert found["i"].tolist() == [-1]
    assert found["s"].to_objects().tolist() == [str(10**30).encode()]
    assert found["l"].values.tolist() == [-1]
    for name, value in {"i": 2**64, "l": [2**64], "x": 10**39}.items():
        with pytest.raises(PlanError, match=f"Column '{name}': wanted "):
            to_tensors(to_table({**rows, name: value}, columns.names), columns, ValueRules())
    with pytest.raises(PlanError, match="cannot be told apart"):
        both = to_table({**rows, "l": [-1, 2**63]}, columns.names)
        to_tensors(both, columns, ValueRules())


def test_all_columns_of_mixed_types_are_named() -> None:
    with pytest.raises(PlanError, match=r"Column 'n': .*Column 'x': .*values of one type"):
        to_table({"n": [1, "a"], "x": [2, {}], "s": ["a", "b"]}, COLUMNS)


@pytest.mark.parametrize("form", [lambda t: t, lambda t: t.to_pandas()], ids=["arrow", "pandas"])
def test_a_duplicate_column_is_refused(form: Any) -> None:
    data = form(pa.table([pa.array([1]), pa.array([2]), pa.array([3])], names=["n", "n", "x"]))
    assert to_table(data, ["x"]).to_pydict() == {"x": [3]}
    with pytest.raises(PlanError, match="duplicate column n"):
        to_table(data, ["x", "n"])


def test_single_values_are_one_row_with_its_lists() -> None:
    row = {"s": "a", "n": 1, "x": None, "t": ["u", "v"], "other": [1, 2]}
    found = to_table(row, ["t", "s", "n", "x"])
    assert found.to_pydict() == {"t": [["u", "v"]], "s": ["a"], "n": [1], "x": [None]}
    assert to_table({"n": np.int64(3)}, ["n"]).to_pydict() == {"n": [3]}


def test_unused_polars_columns_that_arrow_does_not_know_are_ignored() -> None:
    other = pl.Series([object()], dtype=pl.Object)
    assert to_table(pl.DataFrame({"n": [1], "o": other}), ["n"]).to_pydict() == {"n": [1]}


def test_no_rows_in_a_list() -> None:
    assert to_table([], ["n"]).num_rows == 0
    assert to_table([], ["n"]).column_names == ["n"]


def test_the_client_does_not_import_pandas() -> None:
    check = "import sys, plumbline.serving.client.client; sys.exit('pandas' in sys.modules)"
    subprocess.run([sys.executable, "-c", check], check=True)
