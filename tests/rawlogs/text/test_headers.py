"""The error for a wrong header is one short line that names the setting."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from plumbline.base.errors import DataError
from plumbline.rawlogs.raw_rows import read_raw_rows, undeclared_columns
from plumbline.settings import Log, SideTable

COLUMNS = {"y": "label", "age": "integer", "job": "string"}


def error_of(folder: Path, text: str, **log: Any) -> str:
    file = folder / "log"
    file.write_text(text)
    table = Log.model_validate({"columns": COLUMNS, **log})
    with pytest.raises(DataError) as raised:
        list(read_raw_rows(file, table, list(table.columns)))
    message = str(raised.value)
    assert message.startswith(f"{file}:")
    assert "\n" not in message
    assert len(message) - len(str(file)) < 500
    return message


@pytest.mark.parametrize(
    ("text", "log", "hint"),
    [
        ('"y","age","job"\n', {}, "the names are in quotes: set log.quote: '\"'."),
        ("'y','age','job'\n", {}, 'the names are in quotes: set log.quote: "\'".'),
        ('"y";"age";"job"\n', {"separator": ";"}, "set log.quote: '\"'."),
        ("y;age;job\n", {}, "';' would separate 3: set log.separator: ';'."),
        ("y\tage\tjob\n", {}, "'\\t' would separate 3: set log.separator: '\\t'."),
        ("y::age::job\n", {}, "set log.separator: '::'."),
        ("y|age|job\n", {}, "set log.separator: '|'."),
        ("y,age,job\n", {"separator": "\t"}, "set log.separator: ','."),
        ('"y";"age";"job"\n', {"quote": '"'}, "set log.separator: ';'."),
        (" y, age, job\n", {}, "the names have blanks around them: set log.trim: true."),
        ("y,agee,job\n", {}, "did you mean 'agee'?"),
        ("0,31,baker\n", {}, "if the first line is a row, set log.header: false."),
    ],
)
def test_the_setting_is_named(tmp_path: Path, text: str, log: dict[str, Any], hint: str) -> None:
    assert error_of(tmp_path, text, **log).endswith(hint)


def test_each_hint_works(tmp_path: Path) -> None:
    file = tmp_path / "log"
    for text, log in (
        ('"y","age","job"\n1,2,c\n', {"quote": '"'}),
        ("y::age::job\n1::2::c\n", {"separator": "::"}),
        (" y, age, job\n1, 2 ,c\n", {"trim": True}),
        ("1,2,c\n", {"header": False}),
    ):
        file.write_text(text)
        table = Log.model_validate({"columns": COLUMNS, **log})
        (raw,) = read_raw_rows(file, table, list(COLUMNS))
        assert raw.columns.rows() == [("1", "2", "c")]


@pytest.mark.parametrize("wrong", [";", "\t", "|", "::"])
def test_a_file_without_header_and_another_separator(tmp_path: Path, wrong: str) -> None:
    message = error_of(tmp_path, wrong.join("1ab") + "\n", header=False)
    assert message.endswith(f"would separate 3: set log.separator: {wrong!r}.")


def test_long_headers_are_shortened(tmp_path: Path) -> None:
    message = error_of(tmp_path, ",".join(f"column{i:03d}" * 30 for i in range(500)) + "\n")
    assert "column000column000column000column000colu…" in message
    assert "and 492 more" in message
    message = error_of(tmp_path, "y\0,job,\x1b[31m" + "z" * 10**6 + "\n")
    assert "y\\x00, job, \\x1b[31mzz" in message


def test_columns_of_one_name(tmp_path: Path) -> None:
    assert error_of(tmp_path, "y,age,job,age\n").endswith("the header names column 'age' twice.")
    file = tmp_path / "log"
    file.write_text("x,y,,age,x,,job\n9,1,,2,9,,c\n")
    table = Log.model_validate({"columns": COLUMNS})
    (raw,) = read_raw_rows(file, table, list(COLUMNS))
    assert raw.columns.rows() == [("1", "2", "c")]
    assert undeclared_columns([file], table) == ("x", "", "x", "")


def test_columns_of_one_name_in_parquet(tmp_path: Path) -> None:
    file = tmp_path / "log"
    arrays = [pa.array([1]), pa.array([2]), pa.array([3])]
    pq.write_table(pa.Table.from_arrays(arrays, ["y", "x", "x"]), file)
    table = Log.model_validate({"columns": {"y": "label"}, "format": "parquet"})
    (raw,) = read_raw_rows(file, table, ["y"])
    assert raw.columns.rows() == [(1,)]
    table = Log.model_validate({"columns": {"y": "label", "x": "integer"}, "format": "parquet"})
    with pytest.raises(DataError, match="names column 'x' twice"):
        list(read_raw_rows(file, table, ["y", "x"]))


def test_names_of_three_hundred_characters(tmp_path: Path) -> None:
    name = "n" * 300
    file = tmp_path / "log"
    file.write_text(f"y,{name}\n1,2\n")
    table = Log.model_validate({"columns": {"y": "label", name: "integer"}})
    (raw,) = read_raw_rows(file, table, ["y", name])
    assert raw.columns.rows() == [("1", "2")]


def test_a_side_tables_setting_is_named_as_such(tmp_path: Path) -> None:
    file = tmp_path / "shops"
    file.write_text('"shop","town"\n1,a\n')
    table = SideTable.model_validate(
        {"file": "shops", "columns": {"shop": "key", "town": "string"}}
    )
    with pytest.raises(DataError, match="set the table's quote: '\"'"):
        list(read_raw_rows(file, table, ["town"]))


def test_a_header_with_a_stray_quote(tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.write_text('y,ag"e,job\n1,2,c\n')
    table = Log.model_validate({"columns": COLUMNS, "quote": '"'})
    with pytest.raises(DataError, match="log:1: the header has a quote that neither opens nor"):
        list(read_raw_rows(file, table, ["y"]))


def test_files_of_one_log_may_order_their_columns_differently(tmp_path: Path) -> None:
    table = Log.model_validate({"columns": COLUMNS})
    for order in ("y,age,job", "job,y,more,age"):
        file = tmp_path / "log"
        values = {"y": "1", "age": "2", "job": "c", "more": "m"}
        file.write_text(f"{order}\n{','.join(values[name] for name in order.split(','))}\n")
        (raw,) = read_raw_rows(file, table, list(COLUMNS))
        assert raw.columns.rows() == [("1", "2", "c")]
