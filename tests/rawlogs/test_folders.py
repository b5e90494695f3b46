"""Folders as Spark, Hive, Dask and NVTabular write them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import quote

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plumbline.base.errors import DataError
from plumbline.rawlogs import row_parser
from plumbline.rawlogs.fingerprint import Fingerprint
from plumbline.rawlogs.ingest import SURVEY_FILE, Ingested, fingerprints_of, ingest, ingest_typed
from plumbline.rawlogs.partitions import MISSING, partition_root, partition_values
from plumbline.rawlogs.raw_log import RawLog
from plumbline.rawlogs.raw_rows import read_raw_rows, undeclared_columns
from plumbline.rawlogs.side_tables import table_files
from plumbline.rawlogs.sources import resolve_files
from plumbline.rawlogs.survey import Survey
from plumbline.settings import Config, Log, Table
from tests.rawlogs.test_raw_log import frames

COLUMNS = {"y": "label", "x": "continuous", "day": "string", "hour": "integer"}
SPLIT = {"by": "rows", "valid": 0.2, "test": 0.2}


def config_of(split: dict[str, Any] | None = None, tables: Any = None, **log: Any) -> Config:
    return Config.model_validate(
        {
            "name": "t",
            "log": {"columns": COLUMNS, **log},
            "tables": tables or {},
            "split": split or SPLIT,
            "workflow": {"graph": "standard"},
        }
    )


def write(folder: Path, files: dict[str, str | bytes | pa.Table]) -> Path:
    for name, content in files.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, pa.Table):
            pq.write_table(content, file)
        else:
            file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def names(folder: Path, **log: Any) -> list[str]:
    files = resolve_files(Log.model_validate({"columns": COLUMNS, **log}), [folder])
    return [str(file.relative_to(folder)) for file in files]


def test_markers_are_skipped(tmp_path: Path) -> None:
    write(
        tmp_path,
        {
            "part-10.csv": "x",
            "part-2.csv": "x",
            "_SUCCESS": "",
            "_metadata": "x",
            "_common_metadata": "x",
            "_file_list.txt": "2",
            "_temporary/0/part-0": "x",
            "_delta_log/0.json": "{}",
            ".part-2.csv.crc": "x",
            "part-2.csv.crc": "x",
            ".hidden": "x",
            ".ipynb_checkpoints/part-1.csv": "x",
            "schema.pbtxt": "x",
            "metadata.json": "{}",
        },
    )
    assert names(tmp_path) == ["part-2.csv", "part-10.csv"]


def test_folders_are_read_in_natural_order(tmp_path: Path) -> None:
    write(
        tmp_path, {"day_10/a": "x", "day_9/b/2": "x", "day_9/b/10": "x", "day_9/a": "x", "b": "x"}
    )
    assert names(tmp_path) == ["b", "day_9/a", "day_9/b/2", "day_9/b/10", "day_10/a"]


def test_named_files_may_be_in_folders_and_begin_with_an_underscore(tmp_path: Path) -> None:
    write(tmp_path, {"a/_log": "x", "b": "x"})
    assert names(tmp_path, files=["a/_log"]) == ["a/_log"]


def test_a_folder_of_markers_has_no_files(tmp_path: Path) -> None:
    write(tmp_path, {"_SUCCESS": "", "_temporary/x": "x"})
    with pytest.raises(DataError, match="holds no file"):
        names(tmp_path)


def ingested(config: Config, folder: Path, out: Path) -> tuple[Ingested, pl.DataFrame]:
    """The result of the ingest and all rows of the raw log, equal to those of its typed copy."""
    files = resolve_files(config.log, [folder])
    with patch.object(row_parser, "uses_native", return_value=False):
        typed = ingest_typed(config, files, out / "typed", lambda _: None)
    made = ingest(config, files, out / "raw", lambda _: None)
    assert made == typed
    log = RawLog(
        config, files, Survey.read(out / "raw" / SURVEY_FILE), fingerprints_of(config, files)
    )
    rows = pl.concat([frames(log, split) for split in ("train", "valid", "test")])
    parts = [out / "typed" / split / "part-*.parquet" for split in ("train", "valid", "test")]
    assert rows.equals(pl.concat([pl.read_parquet(part) for part in parts]))
    return made, rows


def lines(rows: int, first: int = 0) -> str:
    return "".join(f"{i % 2},{i}\n" for i in range(first, first + rows))


EMPTY_PARTS = ["y,x\n", "", "y,x\n\n\n", "\n"]


@pytest.mark.parametrize("position", [0, 1])
@pytest.mark.parametrize("empty", EMPTY_PARTS)
def test_text_parts_without_rows(tmp_path: Path, empty: str, position: int) -> None:
    full = ["y,x\n" + lines(20), "y,x\n" + lines(20, 20)]
    full.insert(position, empty)
    folder = write(tmp_path / "log", {f"part-{i}": text for i, text in enumerate(full)})
    columns = {"y": "label", "x": "continuous"}
    made, rows = ingested(config_of(columns=columns), folder, tmp_path)
    assert sum(made.rows[split] for split in ("train", "valid", "test")) == len(rows) == 40


def test_parquet_parts_without_rows(tmp_path: Path) -> None:
    table = pa.table({"y": [i % 2 for i in range(20)], "x": [float(i) for i in range(20)]})
    folder = write(
        tmp_path / "log",
        {"part-0": table.slice(0, 0), "part-1": table, "part-2": b"", "part-3": table},
    )
    columns = {"y": "label", "x": "continuous"}
    _, rows = ingested(config_of(columns=columns, format="parquet"), folder, tmp_path)
    assert len(rows) == 40


@pytest.mark.parametrize("parts", [["y,x\n", "y,x\n"], ["y,x\n", ""], ["", "\n"]])
def test_no_part_has_rows(tmp_path: Path, parts: list[str]) -> None:
    folder = write(tmp_path / "log", {f"part-{i}": text for i, text in enumerate(parts)})
    config = config_of(columns={"y": "label", "x": "continuous"})
    with pytest.raises(DataError, match="part-0: this file and all others of the log hold no rows"):
        ingest(config, resolve_files(config.log, [folder]), tmp_path / "out", lambda _: None)


def test_all_parts_are_empty(tmp_path: Path) -> None:
    folder = write(tmp_path / "log", {"part-0": "", "part-1": ""})
    with pytest.raises(DataError, match="part-0: the file is empty"):
        names(folder)


def hive(rows: str | Callable[[int], pa.Table]) -> dict[str, str | bytes | pa.Table]:
    files: dict[str, str | bytes | pa.Table] = {"_SUCCESS": ""}
    position = 0
    for day in ("day=a%2Fb", f"day={MISSING}", "day=Köln 1"):
        for hour in ("hour=2", "hour=10", f"hour={MISSING}"):
            content = rows if isinstance(rows, str) else rows(position)
            files[f"{day}/{hour}/part-{position}"] = content
            position += 1
    return files


EXPECTED_KEYS = {(day, hour) for day in ("a/b", None, "Köln 1") for hour in (2, 10, None)}


@pytest.mark.parametrize("header", [True, False])
def test_partitions_of_text_are_columns(tmp_path: Path, header: bool) -> None:
    folder = write(tmp_path / "log", hive(("y,x\n" if header else "") + lines(10)))
    config = config_of(header=header)
    made, rows = ingested(config, folder, tmp_path)
    assert made.malformed == 0
    assert len(rows) == 90
    assert {*rows.select("day", "hour").unique().rows()} == EXPECTED_KEYS
    assert rows["x"].sum() == 9 * 45


def test_partitions_of_parquet_are_columns(tmp_path: Path) -> None:
    def rows(position: int) -> pa.Table:
        return pa.table({"y": [0, 1] * 5, "x": [float(position)] * 10})

    folder = write(tmp_path / "log", hive(rows))
    made, found = ingested(config_of(format="parquet"), folder, tmp_path)
    assert (made.malformed, len(found)) == (0, 90)
    assert {*found.select("day", "hour").unique().rows()} == EXPECTED_KEYS
    assert found.group_by("x").len()["len"].to_list() == [10] * 9


def test_rows_of_a_malformed_partition_value_are_malformed(tmp_path: Path) -> None:
    folder = write(tmp_path / "log", {"hour=5/day=a/0": lines(20), "hour=x/day=a/0": lines(20)})
    made, rows = ingested(config_of(header=False), folder, tmp_path)
    assert (made.malformed, len(rows)) == (20, 20)
    assert made.examples[0].endswith("column 'hour': wanted a 64-bit integer, found 'x'")


def test_a_partition_may_be_the_label(tmp_path: Path) -> None:
    text = "".join(f"{i}\n" for i in range(20))
    folder = write(tmp_path / "log", {"y=0/a": text, "y=1/a": text})
    config = config_of(
        {"by": "hash", "valid": 0.3, "test": 0.3},
        columns={"x": "integer", "y": "label"},
        header=False,
    )
    _, rows = ingested(config, folder, tmp_path)
    assert rows["click"].sum() == 20


def test_the_folders_value_replaces_that_of_the_file(tmp_path: Path) -> None:
    file = write(tmp_path, {"hour=7/log": "y,hour\n1,3\n"}) / "hour=7/log"
    table = Table(columns={"y": "label", "hour": "integer"})
    (raw,) = read_raw_rows(file, table, ["y", "hour"])
    assert raw.columns.rows() == [("1", "7")]
    parquet = write(tmp_path, {"hour=8/log": pa.table({"y": [1], "hour": [3]})}) / "hour=8/log"
    table = Table(columns={"y": "label", "hour": "integer"}, format="parquet")
    (raw,) = read_raw_rows(parquet, table, ["y", "hour"])
    assert raw.columns.rows() == [(1, "8")]


def test_keys_that_are_not_declared_are_ignored(tmp_path: Path) -> None:
    file = write(tmp_path, {"run=7/day=1/log": "y,x,z\n1,3,4\n"}) / "run=7/day=1/log"
    table = Table(columns={"y": "label", "x": "continuous", "day": "string"})
    (raw,) = read_raw_rows(file, table, ["y", "x", "day"])
    assert raw.columns.rows() == [("1", "3", "1")]
    assert undeclared_columns([file], table) == ("z",)


TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)


@settings(max_examples=50)
@given(values=st.dictionaries(TEXTS.filter(bool), st.none() | TEXTS, max_size=3))
def test_percent_encoded_keys_and_values(values: dict[str, str | None]) -> None:
    folders = [
        f"{quote(key, safe='')}={MISSING if value is None else quote(value, safe='')}"
        for key, value in values.items()
    ]
    file = Path("data").joinpath(*folders, "part-0")
    expected = {key: value or None for key, value in values.items()}
    assert partition_values(file) == expected
    assert list(partition_values(file)) == list(values)
    assert partition_root(file) == Path("data")


def test_side_tables_are_beside_the_partitions(tmp_path: Path) -> None:
    side = {"t": {"file": "shops.csv", "columns": {"hour": "key", "town": "string"}}}
    config = config_of(tables=side, header=False)
    file = tmp_path / "log/day=1/hour=2/part-0"
    assert table_files(config, (file,)) == {"t": tmp_path / "log/shops.csv"}


def test_a_renamed_partition_is_another_file(tmp_path: Path) -> None:
    file = write(tmp_path, {"day=1/log": "1,2\n"}) / "day=1/log"
    found = Fingerprint.of(file)
    (tmp_path / "day=1").rename(tmp_path / "day=2")
    with pytest.raises(DataError, match="wanted the file that stage ingest read"):
        found.require(tmp_path / "day=2/log")
