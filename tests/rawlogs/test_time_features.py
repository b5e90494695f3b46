"""Times as features: read by the ingest with and without a typed copy, and from files to score."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from plumbline.base.errors import ConfigError
from plumbline.columns.rows import Rows
from plumbline.columns.typed import TypedParquet
from plumbline.columns.values import NULL_INT64
from plumbline.rawlogs.ingest import SURVEY_FILE, fingerprints_of, ingest, ingest_typed
from plumbline.rawlogs.raw_log import RawLog
from plumbline.rawlogs.survey import Survey
from plumbline.serving.contract.log_rules import LogRules
from plumbline.serving.score.reading import ReadOptions
from plumbline.serving.score.row_files import RowFile
from plumbline.settings import Config

SECOND = 10**6
FIRST = 1_569_888_420
ROWS = 40
COLUMNS: dict[str, Any] = {
    "item": "integer",
    "seen": {"kind": "time", "feature": True},
    "sold": {"kind": "time", "format": "%d.%m.%Y", "feature": True},
    "other": "time",
    "click": "label",
}


def config(split: dict[str, Any] | None = None, **log: Any) -> Config:
    return Config.model_validate(
        {
            "name": "times",
            "log": {"columns": COLUMNS, "header": False, **log},
            "tables": {
                "items": {
                    "file": "items.csv",
                    "columns": {"item": "key", "made": {"kind": "time", "feature": True}},
                }
            },
            "split": split or {"by": "rows", "valid": 0.25, "test": 0.25},
            "workflow": {"graph": "standard"},
        }
    )


@pytest.fixture
def log(tmp_path: Path) -> Path:
    lines = [
        f"{n % 3},{FIRST + 60 * (ROWS - n)},{'' if n == 1 else '02.01.1970'},none,{n % 2}\n"
        for n in range(ROWS)
    ]
    (tmp_path / "log.csv").write_text("".join(lines))
    (tmp_path / "items.csv").write_text("item,made\n0,1970-01-02\n1,\n")
    return tmp_path / "log.csv"


def rows_of(source: Any, split: str) -> Rows:
    return Rows.concat([chunk() for chunk in source.chunks(split)])


def test_only_declared_times_are_features() -> None:
    assert config().features == {
        "item": "integer", "seen": "time", "sold": "time", "made": "time",
    }  # fmt: skip
    assert config().log.time_formats == {"sold": "%d.%m.%Y"}


def test_the_log_and_its_typed_copy_have_the_same_times(log: Path, tmp_path: Path) -> None:
    settings = config()
    ingest(settings, [log], tmp_path / "raw", lambda rows: None)
    ingest_typed(settings, [log], tmp_path / "typed", lambda rows: None)
    survey = Survey.read(tmp_path / "raw" / SURVEY_FILE)
    source = RawLog(settings, [log], survey, fingerprints_of(settings, [log]))
    copy = TypedParquet({s: tmp_path / "typed" / s for s in ("train", "valid")}, settings.features)
    for rows in (rows_of(source, "train"), rows_of(copy, "train")):
        seen, sold, made = (rows.columns[name].tolist() for name in ("seen", "sold", "made"))  # type: ignore[union-attr]
        assert seen == [(FIRST + 60 * (ROWS - n)) * SECOND for n in range(20)]
        assert sold[:3] == [86_400 * SECOND, NULL_INT64, 86_400 * SECOND]
        assert made[:4] == [86_400 * SECOND, NULL_INT64, NULL_INT64, 86_400 * SECOND]


def test_the_time_of_the_split_can_be_a_feature(log: Path, tmp_path: Path) -> None:
    split = {"by": "time", "column": "seen", "valid": 0.25, "test": 0.25}
    settings = config(split)
    ingest_typed(settings, [log], tmp_path / "out", lambda rows: None)
    train = pq.read_table(tmp_path / "out" / "train" / "part-00000.parquet")
    assert train["seen"].to_pylist() == [(FIRST + 60 * n) * SECOND for n in range(1, 21)]
    probe = pq.read_table(tmp_path / "out" / "probe" / "part-00000.parquet")
    assert probe["seen"].null_count and probe["seen"].type == pa.int64()


def test_a_file_to_score_is_read_like_the_log(log: Path, tmp_path: Path) -> None:
    settings = config()
    rules = LogRules.of(settings.log, settings.tables)
    kinds: dict[str, Any] = {"seen": "time", "sold": "time", "made": "time"}
    text = RowFile(log, kinds, rules, ReadOptions(), 100)
    rows = next(iter(text)).rows
    moments = pa.array([1_569_890_820_000, None], pa.timestamp("ms"))
    named = pa.table({"seen": moments, "sold": ["02.01.1970", ""], "made": ["1970-01-02", None]})
    (tmp_path / "rows").mkdir()
    pq.write_table(named, tmp_path / "rows" / "rows.parquet")
    parquet = RowFile(tmp_path / "rows" / "rows.parquet", kinds, rules, ReadOptions(), 100)
    other = next(iter(parquet)).rows
    assert rows.slice(0, 1).to_pylist() == other.slice(0, 1).to_pylist()
    assert rows["sold"].to_pylist()[:2] == [86_400 * SECOND, None]
    assert other.slice(1, 1).to_pylist() == [{"seen": None, "sold": None, "made": None}]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"time_features": ["item"]}, "column 'item' is integer, wanted kind 'time'"),
        ({"time_features": ["no"]}, "column 'no' is not in the table"),
        (
            {"columns": {**COLUMNS, "seen": {"kind": "time", "feature": "x"}}},
            "columns.seen.feature: wanted true or false, got 'x'",
        ),
        ({"split": {"by": "time", "valid": 0.1, "test": 0.1}}, "split.column: one of seen, sold"),
        (
            {"split": {"by": "time", "column": "item", "valid": 0.1, "test": 0.1}},
            "split.column 'item' is integer: wanted a log column of kind 'time'",
        ),
    ],
)
def test_wrong_settings_of_times(change: dict[str, Any], message: str) -> None:
    split = change.pop("split", None)
    with pytest.raises((ConfigError, ValueError), match=message):
        config(split, **change)
