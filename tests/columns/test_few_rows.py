"""Rows read value by value have the tensors of a table of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plumbline.base.errors import PlanError
from plumbline.columns.few_rows import FewRows
from plumbline.columns.kinds import FeatureKind
from plumbline.columns.value_rules.rules import ValueRules
from plumbline.columns.wire import Tensors, WireColumns, to_tensors
from plumbline.serving.client.tables import to_table

KINDS: dict[str, FeatureKind] = {
    "a": "continuous", "b": "integer", "c": "boolean", "d": "hex", "e": "string",
    "f": "integer_list", "g": "hex_list", "h": "string_list",
}  # fmt: skip
COLUMNS = WireColumns.of(KINDS)
RULES = (
    ValueRules(),
    ValueRules(missing=("NA", "-1", "ff"), trim=True, decimal=",", thousands="."),
)
COMMON: dict[str, list[Any]] = {
    "a": [1, 2.5, None, -0.0], "b": [7, -1, None], "c": [True, False, None], "d": ["ff", None],
    "e": ["x", "", None, "NA"], "f": [[1, None], [], None], "g": [["ff"], None],
    "h": [["x", None, ""], [], None],
}  # fmt: skip
ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**64) - 1, 2**64 + 1),
    st.sampled_from([0, 1, -1, 255, 2**63 - 1, -(2**63), 2**63, 2**53 + 1]),
    st.floats(),
    st.sampled_from([1e39, 2.0, -1.0]),
    st.text(max_size=4),
    st.sampled_from(["NA", "ff", " ff ", "-1", "1.5", "1,5", "1.000", "true", "no", "nan", "inf"]),
    st.sampled_from(["\ud800", b"x", "12345678901234567890", "7.0", "1e3", " "]),
)


def read(rows: list[dict[str, Any]], rules: ValueRules) -> Tensors | None:
    """As a table of the rows is read; None if it is refused."""
    try:
        return to_tensors(to_table(rows, COLUMNS.names), COLUMNS, rules)
    except PlanError:
        return None


def same(one: Tensors, other: Tensors) -> bool:
    return one.keys() == other.keys() and all(
        one[name].dtype == other[name].dtype
        and one[name].flags.c_contiguous
        and (
            one[name].tolist() == other[name].tolist()
            if one[name].dtype == np.object_
            else one[name].tobytes() == np.ascontiguousarray(other[name]).tobytes()
        )
        for name in one
    )


@given(st.data(), st.sampled_from(RULES), st.integers(1, 3))
def test_common_rows_are_read_and_have_the_tables_tensors(
    data: st.DataObject, rules: ValueRules, count: int
) -> None:
    rows = [
        {name: data.draw(st.sampled_from(values)) for name, values in COMMON.items()}
        for _ in range(count)
    ]
    few, wanted = FewRows(COLUMNS, rules).tensors(rows), read(rows, rules)
    assert few is not None
    assert wanted is not None
    assert same(few, wanted)


@given(st.data(), st.sampled_from(RULES), st.integers(1, 3))
def test_odd_values_have_the_tables_tensors_or_are_left_to_it(
    data: st.DataObject, rules: ValueRules, count: int
) -> None:
    odd = data.draw(st.sampled_from(list(KINDS)))
    value = st.one_of(ODD, st.lists(ODD, max_size=3))
    rows = [
        {name: values[0] for name, values in COMMON.items()} | {odd: data.draw(value)}
        for _ in range(count)
    ]
    few = FewRows(COLUMNS, rules).tensors(rows)
    if few is not None:
        wanted = read(rows, rules)
        assert wanted is not None
        assert same(few, wanted)


@pytest.mark.parametrize("row", [{}, {"a": 1}])
def test_a_row_that_lacks_a_column_is_left_to_the_table(row: dict[str, Any]) -> None:
    assert FewRows(COLUMNS, ValueRules()).tensors([row]) is None
