from __future__ import annotations

import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from plumbline.base.errors import DataError
from plumbline.columns.kinds import Kind
from plumbline.rawlogs.convert import convert
from plumbline.rawlogs.malformed import Fault
from plumbline.rawlogs.raw_rows import read_raw_rows
from plumbline.settings import Label, Table


def column(folder: Path, array: pa.Array, kind: Kind) -> tuple[list[Any], list[Fault]]:
    file = folder / "log.parquet"
    pq.write_table(pa.table({"other": array, "x": array}), file)
    table = Table(format="parquet", columns={"x": kind})
    (raw,) = read_raw_rows(file, table, ["x"])
    frame, faults = convert(file, raw, {"x": kind}, Label(), table, "x" if kind == "time" else None)
    assert frame.width == 1
    return frame.to_series().to_list(), faults


DAY = datetime.date(1970, 1, 2)


@pytest.mark.parametrize(
    ("array", "kind", "expected"),
    [
        (pa.array([1.5, None, float("nan")]), "continuous", [1.5, None, None]),
        (pa.array([1, None], pa.uint8()), "continuous", [1.0, None]),
        (pa.array([Decimal("2.50"), None]), "continuous", [2.5, None]),
        (pa.array([True, None]), "continuous", [1.0, None]),
        (pa.array(["2.5", "", None]), "continuous", [2.5, None, None]),
        (pa.array([3, None], pa.int16()), "integer", [3, None]),
        (pa.array([3.0, None, float("nan")]), "integer", [3, None, None]),
        (pa.array([Decimal("3.00")]), "integer", [3]),
        (pa.array([True]), "integer", [1]),
        (pa.array(["-3", ""]), "integer", [-3, None]),
        (pa.array([255, None]), "hex", [255, None]),
        (pa.array(["ff", "", None]), "hex", [255, None, None]),
        (pa.array(["a", "", None]), "string", ["a", None, None]),
        (pa.array(["a", None, "a"]).dictionary_encode(), "string", ["a", None, "a"]),
        (pa.array([b"a", None]), "string", ["a", None]),
        (pa.array(["a"], pa.large_string()), "string", ["a"]),
        (pa.array([7, None]), "string", ["7", None]),
        (pa.array([None, None], pa.null()), "string", [None, None]),
        (pa.array([None], pa.null()), "continuous", [None]),
        (pa.array([None], pa.null()), "hex", [None]),
        (pa.array([0.0, 1.0]), "label", [0, 1]),
        (pa.array([True, False]), "label", [1, 0]),
        (pa.array([DAY]), "time", [86400.0]),
        (pa.array([86_400_000], pa.timestamp("ms")), "time", [86400.0]),
        (pa.array([86_400_000], pa.timestamp("ms", "Europe/Paris")), "time", [86400.0]),
        (pa.array([5]), "time", [5.0]),
    ],
)
def test_types_are_converted_to_the_kind(
    tmp_path: Path, array: pa.Array, kind: Kind, expected: list[Any]
) -> None:
    assert column(tmp_path, array, kind) == (expected, [])


@pytest.mark.parametrize(
    ("array", "kind", "reason"),
    [
        (
            pa.array([0, 2]),
            "label",
            "column 'x': wanted label 0 or 1, found 2; give label.at_least the smallest number "
            "that is a click, or label.click the clicks",
        ),
        (pa.array([1, None]), "label", "column 'x': wanted label 0 or 1, found nothing"),
        (pa.array([1.0, 1.5]), "integer", "column 'x': wanted a 64-bit integer, found 1.5"),
        (pa.array([1.0, 2e19]), "integer", "column 'x': wanted a 64-bit integer, found 2e+19"),
        (
            pa.array([1, -(2**63)]),
            "integer",
            "column 'x': wanted a 64-bit integer, found -9223372036854775808",
        ),
        (
            pa.array([1.0, float("inf")]),
            "continuous",
            "column 'x': wanted a finite float32 number, found inf",
        ),
    ],
)
def test_malformed_values_are_reported_by_row(
    tmp_path: Path, array: pa.Array, kind: Kind, reason: str
) -> None:
    values, faults = column(tmp_path, array, kind)
    assert (len(values), faults) == (1, [Fault(2, reason)])


@pytest.mark.parametrize(
    ("array", "kind", "message"),
    [
        (pa.array([[1]]), "continuous", r"'x' is List\(Int64\), wanted text or numbers or bool"),
        (pa.array([True]), "hex", "'x' is Boolean, wanted text or numbers for kind 'hex'; kinds "),
        (pa.array([DAY]), "integer", "'x' is Date, .*; kinds that take it: string, time"),
        (pa.array([True]), "time", "'x' is Boolean, wanted text or numbers or dates"),
    ],
)
def test_types_that_do_not_fit(tmp_path: Path, array: pa.Array, kind: Kind, message: str) -> None:
    with pytest.raises(DataError, match=message):
        column(tmp_path, array, kind)


def test_a_missing_column(tmp_path: Path) -> None:
    file = tmp_path / "log.parquet"
    pl.DataFrame({"clicks": [1]}).write_parquet(file)
    table = Table(format="parquet", columns={"click_": "label"})
    with pytest.raises(
        DataError, match=r"no column 'click_' among clicks; did you mean 'clicks'\?"
    ):
        list(read_raw_rows(file, table, ["click_"]))


def test_a_file_that_is_not_parquet(tmp_path: Path) -> None:
    file = tmp_path / "log.parquet"
    file.write_text("no parquet, but long enough to be looked at")
    table = Table(format="parquet", columns={"y": "label"})
    with pytest.raises(DataError, match=r"log\.parquet: cannot be read as Parquet: "):
        list(read_raw_rows(file, table, ["y"]))


@pytest.mark.parametrize(
    ("array", "kind", "expected"),
    [
        (pa.array([[1, None], None, []]), "integer_list", [[1, None], [], []]),
        (pa.array([[3.0, float("nan")]]), "integer_list", [[3, None]]),
        (pa.array([[1, 2]], pa.list_(pa.int8(), 2)), "integer_list", [[1, 2]]),
        (pa.array([[1]], pa.large_list(pa.int64())), "integer_list", [[1]]),
        (pa.array([["ff", "", None]]), "hex_list", [[255, None, None]]),
        (pa.array([[255]]), "hex_list", [[255]]),
        (pa.array([["a", "", None], None]), "string_list", [["a", None, None], []]),
        (pa.array([[b"a"]]), "string_list", [["a"]]),
        (
            pa.array([["b", "a", "b"]], pa.list_(pa.dictionary(pa.int8(), pa.string()))),
            "string_list",
            [["b", "a", "b"]],
        ),
        (pa.array([[7]]), "string_list", [["7"]]),
        (pa.array([[None], None, []], pa.list_(pa.null())), "string_list", [[None], [], []]),
        (pa.array([[None], None], pa.list_(pa.null())), "hex_list", [[None], []]),
        (pa.array([None], pa.null()), "integer_list", [[]]),
    ],
)
def test_lists_become_lists(
    tmp_path: Path, array: pa.Array, kind: Kind, expected: list[Any]
) -> None:
    assert column(tmp_path, array, kind) == (expected, [])


@pytest.mark.parametrize(
    ("array", "kind", "reason"),
    [
        (pa.array([[1], [2, -(2**63)]]), "integer_list", "a 64-bit integer"),
        (pa.array([[1.0], [2.5]]), "integer_list", "a 64-bit integer"),
        (pa.array([["f"], ["g"]]), "hex_list", "up to 16 hexadecimal digits"),
    ],
)
def test_malformed_elements_are_reported_by_row(
    tmp_path: Path, array: pa.Array, kind: Kind, reason: str
) -> None:
    values, faults = column(tmp_path, array, kind)
    assert len(values) == 1
    (fault,) = faults
    assert fault.line == 2
    assert fault.reason.startswith(f"column 'x': wanted a list, each element {reason}, found [")


@pytest.mark.parametrize(
    ("array", "kind", "message"),
    [
        (pa.array([1]), "integer_list", "'x' is Int64, wanted lists for kind 'integer_list'"),
        (pa.array(["1|2"]), "integer_list", "'x' is String, wanted lists for kind 'integer_list'"),
        (pa.array([[True]]), "hex_list", "'x' is Boolean, wanted text or numbers for kind 'hex'"),
        (pa.array([[[1]]]), "integer_list", r"'x' is List\(Int64\), wanted text or numbers"),
    ],
)
def test_lists_of_types_that_do_not_fit(
    tmp_path: Path, array: pa.Array, kind: Kind, message: str
) -> None:
    with pytest.raises(DataError, match=message):
        column(tmp_path, array, kind)


def test_text_in_parquet_is_split_at_the_list_separator(tmp_path: Path) -> None:
    file = tmp_path / "log.parquet"
    pq.write_table(pa.table({"x": ["1|2", None]}), file)
    table = Table(format="parquet", columns={"x": "integer_list"}, list_separator="|")
    (raw,) = read_raw_rows(file, table, ["x"])
    frame, _ = convert(file, raw, {"x": "integer_list"}, Label(), table)
    assert frame["x"].to_list() == [[1, 2], []]
