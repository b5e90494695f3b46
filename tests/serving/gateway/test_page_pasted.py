"""Pasted rows: JSON, JSON lines and CSV as people and programs write them, and what is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest

from plumbline.serving.client.core import ServedModel
from plumbline.serving.client.transport import ModelConfig
from plumbline.serving.contract.interface import KINDS
from plumbline.serving.gateway.errors import Refused
from plumbline.serving.gateway.page.pasted import (
    MOST_REASONS,
    MOST_ROWS,
    pasted_rows,
    refused_rows,
)

SERVED = ServedModel(
    ModelConfig(
        "ctr_fused",
        64,
        {KINDS: json.dumps({"city": "string", "price": "continuous", "visited": "integer_list"})},
    )
)


def of_csv(text: str) -> list[dict[str, Any]]:
    return pasted_rows(text.encode(), True, SERVED)


def of_json(text: str) -> list[dict[str, Any]]:
    return pasted_rows(text.encode(), False, SERVED)


def test_csv_has_quotes_line_breaks_and_separators_in_fields() -> None:
    rows = of_csv('city,price,other\r\n"a ""b"", c\nd",1.50,x\r\n\r\n,,\r\nÜ,007,')
    assert rows == [
        {"city": 'a "b", c\nd', "price": "1.50"},
        {"city": None, "price": None},
        {"city": "Ü", "price": "007"},
    ]


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_the_separator_is_that_of_the_first_line(separator: str) -> None:
    text = "\ufeff" + separator.join(["price", " city "]) + "\n" + separator.join(["1", "a"])
    assert of_csv(text) == [{"city": "a", "price": "1"}]


def test_a_list_in_csv_is_json_or_as_the_log_has_it() -> None:
    rows = of_csv('visited;price\n"[7, null]";1\n7 8;2\n[7;3\n;4')
    assert [row["visited"] for row in rows] == [[7, None], "7 8", "[7", None]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "Rows: wanted at least one"),
        ("city,price\n", "Rows: wanted at least one"),
        ("city,price\na,1,2\n", "line 2: wanted 2 fields, as in the first line, got 3"),
        ("city,price\na\n", "line 2: wanted 2 fields, as in the first line, got 1"),
        ('city,price\n"a,1\n', "CSV, line 2: unexpected end of data"),
        ('city,price\n"a"b,1\n', "CSV, line 2: "),
        ("a,b\n1,2\n", r"wanted the columns' names in the first line \(city, price, visited\)"),
        ("city,city\n1,2\n", "column 'city' is there twice"),
        ("city\n" + "a\n" * (MOST_ROWS + 1), "Rows: wanted at most 1,000"),
        ("city,price\n" + "a" * 200_000 + ",1", "field larger than field limit"),
    ],
)
def test_csv_that_is_refused(text: str, reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        of_csv(text)


def test_text_that_is_not_utf_8_is_refused() -> None:
    with pytest.raises(Refused, match="UTF-8"):
        pasted_rows(b"city\n\xff\n", True, SERVED)


@pytest.mark.parametrize(
    "text",
    [
        '{"rows": [{"city": "a", "price": 1}, {"city": null}]}',
        '[{"city": "a", "price": 1, "other": {}}, {"city": null}]',
        '{"city": "a", "price": 1}\n\n{"city": null}\n',
    ],
)
def test_the_forms_of_json(text: str) -> None:
    assert of_json(text) == [{"city": "a", "price": 1}, {"city": None}]
    assert of_json('{"city": "a"}') == [{"city": "a"}]


def test_values_arrive_as_a_browser_can_hold_them() -> None:
    text = '{"city": "\\ud800", "price": NaN, "visited": [9007199254740993, true, [1], {}]}'
    (row,) = of_json(text)
    assert row == {"city": "\ud800", "price": None, "visited": ["9007199254740993", True, [], {}]}
    assert of_json('{"visited": [7, 9007199254740993]}') == [{"visited": ["7", "9007199254740993"]}]
    assert of_json('{"price": Infinity}') == [{"price": "inf"}]
    assert of_json('{"price": {"a": {"b": Infinity}}}') == [{"price": {}}]
    json.dumps(row, allow_nan=False)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "it is not JSON"),
        ("[1]", "rows are objects"),
        ('{"rows": 7}', "rows are objects"),
        ("[]", "Rows: wanted at least one"),
        ("[" * 100_000, "nested too deeply"),
        ("[" + "{}," * MOST_ROWS + "{}]", "Rows: wanted at most 1,000"),
        ("{}\n" * (MOST_ROWS + 1), "Rows: wanted at most 1,000"),
    ],
)
def test_json_that_is_refused(text: str, reason: str) -> None:
    with pytest.raises(Refused, match=reason):
        of_json(text)


def test_refused_rows_are_named_with_their_reasons() -> None:
    good = {"city": "a", "price": "1.5", "visited": None}
    rows = [good, {**good, "price": "dear"}, good, {"city": "a"}, {**good, "visited": [{}]}]
    refused = refused_rows(rows, SERVED)
    assert [one["row"] for one in refused] == [1, 3, 4]
    assert refused[0]["error"].startswith("Column 'price': wanted a finite float32 number")
    assert "found 'dear';" in refused[0]["error"]
    assert refused[1]["error"].startswith("The row has no price, visited.")


def test_after_many_refused_rows_the_rest_is_not_tried() -> None:
    good = {"city": "a", "price": "1.5", "visited": None}
    rows = [good] * 3 + [{**good, "price": "dear"}] * 500 + [good] * 3
    refused = refused_rows(rows, SERVED)
    assert [one["row"] for one in refused] == list(range(3, 506))
    reasons = [one["error"].partition(",")[0] for one in refused]
    assert reasons[MOST_REASONS - 1] == "Column 'price': wanted a finite float32 number"
    assert set(reasons[MOST_REASONS:]) == {"Not tried"}
