from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from plumbline.settings import Table


def table(**keys: Any) -> Table:
    return Table.model_validate({"columns": {"y": "label"}, **keys})


@pytest.mark.parametrize("separator", [",", "::", "\t", "<=>", " | ", "\x01"])
def test_separators(separator: str) -> None:
    assert table(separator=separator).separator == separator


@pytest.mark.parametrize(
    "encoding",
    [
        "utf-8",
        "UTF-8-SIG",
        "latin-1",
        "cp1252",
        "utf-16",
        "UTF-16LE",
        "utf_32_be",
        "gb18030",
        "ascii",
    ],
)
def test_encodings(encoding: str) -> None:
    assert table(encoding=encoding).encoding == encoding


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"separator": ""}, "at least 1 character"),
        ({"separator": "a\n"}, "wanted ASCII characters, no line end"),
        ({"separator": "—"}, "wanted ASCII characters, no line end"),
        ({"separator": "123456789"}, "at most 8 characters"),
        ({"quote": "''"}, "at most 1 character"),
        ({"quote": "\r"}, "no line end"),
        ({"quote": ":", "separator": "::"}, "quote ':' is part of separator '::'"),
        ({"quote": " ", "trim": True}, "quote ' ' is removed by trim"),
        ({"encoding": "utf-99"}, "wanted utf-8, utf-16, latin-1 or such, got 'utf-99'"),
        ({"encoding": "cp037"}, "got 'cp037'"),
        ({"encoding": "rot13"}, "got 'rot13'"),
        ({"encoding": "a\0b"}, "wanted utf-8"),
    ],
)
def test_refused_settings(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        table(**keys)
