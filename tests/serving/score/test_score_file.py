"""Scoring chunk by chunk: order of rows, requests in flight, and files after a failure."""

import asyncio
import csv
import io
from collections.abc import Iterator
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from plumbline.base.errors import DataError, PlanError
from plumbline.serving.errors import ServerError
from plumbline.serving.score.row_files import Chunk
from plumbline.serving.score.score_file import Scored, score_rows
from plumbline.serving.score.score_output import CsvOutput, check_output, output_file


class Answers:
    """A stand-in for a client. A row's score is its value; later requests are answered earlier."""

    def __init__(self) -> None:
        self.under_way = self.most_under_way = 0

    def tensors(self, chunk: pa.Table) -> Any:
        values = chunk["x"].to_numpy()
        if np.isnan(values).any():
            raise PlanError("Column 'x': no.")
        return values

    async def predict(self, values: Any) -> Any:
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        for _ in range(50 - int(values[0])):
            await asyncio.sleep(0)
        self.under_way -= 1
        if values[0] == 13.0:
            raise ServerError("unlucky")
        return values.astype(np.float32)


class Kept:
    def __init__(self) -> None:
        self.values: list[float] = []
        self.kept: list[int] = []

    def write(self, kept: pa.Table, probability_B: Any) -> None:
        self.kept += kept["row"].to_pylist()
        self.values += probability_B.tolist()

    def finish(self) -> None: ...


def scored(values: list[float], in_flight: int, client: Any, output: Any) -> tuple[Any, list[int]]:
    taken = 0
    shown: list[int] = []

    def chunks() -> Iterator[pa.Table]:
        nonlocal taken
        for start in range(0, len(values), 2):
            taken += 1
            assert taken <= len(shown) + in_flight, "chunks are not read further ahead"
            rows = pa.table({"x": values[start : start + 2]})
            yield Chunk(rows, pa.table({"row": range(start, start + len(rows))}))

    def progress(so_far: Scored) -> None:
        shown.append(so_far.rows)

    return asyncio.run(score_rows(client, chunks(), output, in_flight, progress)), shown


@pytest.mark.parametrize("in_flight", [1, 3, 100])
def test_scores_keep_the_order_of_the_rows(in_flight: int) -> None:
    client, output = Answers(), Kept()
    values = [float(value) for value in range(11)]
    found, shown = scored(values, in_flight, client, output)
    assert output.values == values
    assert output.kept == list(range(11)), "what is kept stays with its row"
    assert (found.rows, found.mean_probability) == (11, 5.0)
    assert shown == [2, 4, 6, 8, 10, 11]
    assert 1 <= client.most_under_way <= in_flight


def test_no_rows_have_no_mean() -> None:
    found, shown = scored([], 2, Answers(), Kept())
    assert (found.rows, shown) == (0, [])
    assert np.isnan(found.mean_probability)


def test_a_failure_cancels_the_others() -> None:
    client = Answers()
    with pytest.raises(ServerError, match="unlucky"):
        scored([12.0, 0.0, 13.0, 0.0, 14.0, 0.0], 3, client, Kept())


def test_an_answer_of_another_length_is_refused() -> None:
    class Short(Answers):
        async def predict(self, values: Any) -> Any:
            return values[1:].astype(np.float32)

    with pytest.raises(DataError, match="Wanted 2 scores, got 1"):
        scored([1.0, 2.0], 1, Short(), Kept())


def test_rows_that_do_not_fit_are_named_by_number() -> None:
    with pytest.raises(DataError, match=r"^Rows 3 to 4: Column 'x': no\."):
        scored([1.0, 2.0, 3.0, float("nan")], 2, Answers(), Kept())


SCORES = [np.array([0.1, 1.0], np.float32), np.empty(0, np.float32), np.array([1e-9], np.float32)]
NOTHING = pa.schema([])


def nothing(probability_B: Any) -> pa.Table:
    return NOTHING.empty_table()


def test_csv_preserves_every_float() -> None:
    stream = io.BytesIO()
    output = CsvOutput(stream, NOTHING)
    for probability_B in SCORES:
        output.write(nothing(probability_B), probability_B)
    header, *lines = stream.getvalue().decode().splitlines()
    assert header == "click_probability"
    np.testing.assert_array_equal(np.array(lines, np.float32), np.concatenate(SCORES))


@pytest.mark.parametrize("scores", [SCORES, []], ids=["some", "none"])
def test_parquet_has_all_scores(tmp_path: Path, scores: list[Any]) -> None:
    file = tmp_path / "scores.parquet"
    with output_file(file, NOTHING) as output:
        for probability_B in scores:
            output.write(nothing(probability_B), probability_B)
        assert not file.exists()
    found = pq.read_table(file)["click_probability"]
    assert found.type == pa.float32()
    assert found.to_pylist() == np.concatenate([*scores, np.empty(0, np.float32)]).tolist()


MOMENT = datetime(2026, 1, 2, 3, 4, 5, 600, tzinfo=timezone.utc)
KEPT = pa.table(
    {
        "id": pa.array([2**64 - 1, 7, None], pa.uint64()),
        'a "b", c': pa.array(['say "x"', "a,b\nc", None]),
        "price": pa.array([Decimal("1.50"), None, Decimal("-2.25")], pa.decimal128(38, 2)),
        "is_new": pa.array([True, None, False]),
        "time": pa.array([MOMENT, None, MOMENT], pa.timestamp("us", "UTC")),
        "word": pa.array(["x", None, "y"]).dictionary_encode(),
        "bytes": pa.array([b"ab", None, b""]),
    }
)


def test_kept_columns_have_their_types_in_parquet(tmp_path: Path) -> None:
    file = tmp_path / "scores.parquet"
    with output_file(file, KEPT.schema) as output:
        output.write(KEPT.slice(0, 2), SCORES[0])
        output.write(KEPT.slice(2), SCORES[2])
    found = pq.read_table(file)
    assert found.schema.names == [*KEPT.column_names, "click_probability"]
    assert found.drop_columns("click_probability").to_pylist() == KEPT.to_pylist()
    assert [f.type for f in found.schema][:-1] == [f.type for f in KEPT.schema]


def test_kept_text_is_quoted_in_csv() -> None:
    stream = io.BytesIO()
    output = CsvOutput(stream, KEPT.schema)
    output.write(KEPT.slice(0, 2), SCORES[0])
    output.write(KEPT.slice(2), SCORES[2])
    first, *rows = csv.reader(io.StringIO(stream.getvalue().decode(), newline=""))
    assert first == [*KEPT.column_names, "click_probability"]
    assert [row[:4] for row in rows] == [
        ["18446744073709551615", 'say "x"', "1.50", "true"],
        ["7", "a,b\nc", "", ""],
        ["", "", "-2.25", "false"],
    ]
    assert [row[4] for row in rows] == ["2026-01-02 03:04:05.000600Z", "", rows[0][4]]
    assert [row[5:7] for row in rows] == [["x", "ab"], ["", ""], ["y", ""]]
    found_B = np.array([row[7] for row in rows], np.float32)
    np.testing.assert_array_equal(found_B, np.concatenate(SCORES))


def test_columns_without_a_text_form_are_refused_before_scoring() -> None:
    with pytest.raises(DataError, match=r"--keep tags: list<item: int64> has no form in CSV"):
        CsvOutput(io.BytesIO(), pa.schema([("tags", pa.list_(pa.int64()))]))
    output = CsvOutput(io.BytesIO(), pa.schema([("b", pa.binary())]))
    with pytest.raises(DataError, match=r"--keep b: binary has no form in CSV"):
        output.write(pa.table({"b": [b"\xff"]}), SCORES[2])


def test_text_that_is_not_utf_8_is_refused() -> None:
    """A Parquet file may have such bytes in a column of strings."""
    text = pa.array([b"\xff"]).view(pa.string())
    output = CsvOutput(io.BytesIO(), pa.schema([("t", pa.string())]))
    with pytest.raises(DataError, match=r"--keep t: string has no form in CSV \(.*UTF.?8"):
        output.write(pa.table({"t": text}), SCORES[2])


@pytest.mark.parametrize("name", ["scores.csv", "scores.parquet"])
def test_a_failure_leaves_no_new_file_and_keeps_the_old_one(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.write_text("old")
    with pytest.raises(ServerError, match="gone"), output_file(file, NOTHING) as output:
        output.write(nothing(SCORES[0]), SCORES[0])
        raise ServerError("gone")
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_outputs_that_are_refused(tmp_path: Path) -> None:
    file, rows = tmp_path / "scores.csv", tmp_path / "rows.csv"
    check_output(file, force=False, rows=rows)
    file.write_text("old")
    check_output(file, force=True, rows=rows)
    with pytest.raises(DataError, match=r"exists already\. .*--force"):
        check_output(file, force=False, rows=rows)
    with pytest.raises(DataError, match=r"is the file of rows"):
        check_output(rows, force=True, rows=rows)
    with pytest.raises(DataError, match=r"scores.txt: wanted a name that ends in .csv or .parquet"):
        check_output(tmp_path / "scores.txt", force=True, rows=rows)
    with pytest.raises(DataError, match=r"cannot be written"), output_file(file / "a.csv", NOTHING):
        pytest.fail("a folder that is a file")
