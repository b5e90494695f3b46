"""Scoring piece by piece: the rows' order, how much is under way, and what stays of a failure."""

import asyncio
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.errors import DataError, PlanError, ServerError
from serving.score.score_file import Scored, score_rows
from serving.score.score_output import CsvOutput, check_output, output_file


class Answers:
    """Stands in for a client: the score of a row is its value; later requests answer earlier."""

    def __init__(self) -> None:
        self.under_way = self.most_under_way = 0

    def tensors(self, piece: pa.Table) -> Any:
        values = piece["x"].to_numpy()
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

    def write(self, probability_B: Any) -> None:
        self.values += probability_B.tolist()

    def finish(self) -> None: ...


def scored(values: list[float], in_flight: int, client: Any, output: Any) -> tuple[Any, list[int]]:
    taken = 0
    shown: list[int] = []

    def pieces() -> Iterator[pa.Table]:
        nonlocal taken
        for start in range(0, len(values), 2):
            taken += 1
            assert taken <= len(shown) + in_flight, "pieces are not read further ahead"
            yield pa.table({"x": values[start : start + 2]})

    def progress(so_far: Scored) -> None:
        shown.append(so_far.rows)

    return asyncio.run(score_rows(client, pieces(), output, in_flight, progress)), shown


@pytest.mark.parametrize("in_flight", [1, 3, 100])
def test_scores_keep_the_order_of_the_rows(in_flight: int) -> None:
    client, output = Answers(), Kept()
    values = [float(value) for value in range(11)]
    found, shown = scored(values, in_flight, client, output)
    assert output.values == values
    assert (found.rows, found.mean_probability) == (11, 5.0)
    assert shown == [2, 4, 6, 8, 10, 11]
    assert 1 <= client.most_under_way <= in_flight


def test_no_rows_have_no_mean() -> None:
    found, shown = scored([], 2, Answers(), Kept())
    assert (found.rows, shown) == (0, [])
    assert np.isnan(found.mean_probability)


def test_a_failure_ends_the_others() -> None:
    client = Answers()
    with pytest.raises(ServerError, match="unlucky"):
        scored([12.0, 0.0, 13.0, 0.0, 14.0, 0.0], 3, client, Kept())


def test_rows_that_do_not_fit_are_told_by_number() -> None:
    with pytest.raises(DataError, match=r"^Rows 3 to 4: Column 'x': no\."):
        scored([1.0, 2.0, 3.0, float("nan")], 2, Answers(), Kept())


SCORES = [np.array([0.1, 1.0], np.float32), np.empty(0, np.float32), np.array([1e-9], np.float32)]


def test_csv_gives_every_float_back() -> None:
    stream = io.BytesIO()
    output = CsvOutput(stream)
    for probability_B in SCORES:
        output.write(probability_B)
    header, *lines = stream.getvalue().decode().splitlines()
    assert header == "click_probability"
    np.testing.assert_array_equal(np.array(lines, np.float32), np.concatenate(SCORES))


@pytest.mark.parametrize("scores", [SCORES, []], ids=["some", "none"])
def test_parquet_holds_them_all(tmp_path: Path, scores: list[Any]) -> None:
    file = tmp_path / "scores.parquet"
    with output_file(file) as output:
        for probability_B in scores:
            output.write(probability_B)
        assert not file.exists()
    found = pq.read_table(file)["click_probability"]
    assert found.type == pa.float32()
    assert found.to_pylist() == np.concatenate([*scores, np.empty(0, np.float32)]).tolist()


@pytest.mark.parametrize("name", ["scores.csv", "scores.parquet"])
def test_a_failure_leaves_no_file_and_spoils_no_old_one(tmp_path: Path, name: str) -> None:
    file = tmp_path / name
    file.write_text("old")
    with pytest.raises(ServerError, match="gone"), output_file(file) as output:
        output.write(SCORES[0])
        raise ServerError("gone")
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def test_outputs_that_are_refused(tmp_path: Path) -> None:
    file, rows = tmp_path / "scores.csv", tmp_path / "rows.csv"
    check_output(file, force=False, rows=rows)
    file.write_text("old")
    check_output(file, force=True, rows=rows)
    with pytest.raises(DataError, match=r"is there already\. .*--force"):
        check_output(file, force=False, rows=rows)
    with pytest.raises(DataError, match=r"is the file of the rows"):
        check_output(rows, force=True, rows=rows)
    with pytest.raises(DataError, match=r"scores.txt: wanted a name that ends in .csv or .parquet"):
        check_output(tmp_path / "scores.txt", force=True, rows=rows)
    with pytest.raises(DataError, match=r"cannot be written"), output_file(file / "a.csv"):
        pytest.fail("a folder that is a file")
