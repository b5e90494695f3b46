"""Stage etl reads the rows from the raw log, unless stage ingest kept a typed copy."""

from __future__ import annotations

import gzip
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from plumbline.base.errors import DataError, StageError
from plumbline.columns.rows import RowSource
from plumbline.columns.typed import TypedParquet
from plumbline.rawlogs.frames import frame_of_rows
from plumbline.settings import Config
from plumbline.stages import generate, ingest
from plumbline.stages.rows import row_source, typed_folders
from plumbline.stages.run import Run
from plumbline.stages.stage import Finished

SPLITS = ("train", "valid", "test", "probe")
COLUMNS = {"y": "label", "x": "continuous", "c": "integer"}


def run_of(folder: Path, split: str = "rows", engine: Any = "native", **log: Any) -> Run:
    columns = {**COLUMNS, "at": "time"}
    config = Config.model_validate(
        {
            "name": "tiny",
            "log": {"columns": columns, "header": False, **log},
            "split": {"by": split, "valid": 0.2, "test": 0.2},
            "workflow": {"graph": "standard"},
        }
    )
    file = folder / "log.csv"
    if not file.exists():
        file.write_text("".join(f"{i % 2},{i}.5,{i % 3},{-i}\n" for i in range(50)))
    return Run(config, (file,), engine, "merlin", "cpu", None)


def ingested(run: Run, folder: Path) -> dict[str, Finished]:
    return {"ingest": ingest.STAGE.ensure(run, folder / "run")}


def folders(finished: Finished) -> set[str]:
    return {path.name for path in finished.folder.iterdir() if path.is_dir()}


def rows(source: RowSource) -> dict[str, list[tuple[Any, ...]]]:
    return {
        split: [row for chunk in source.chunks(split) for row in frame_of_rows(chunk()).rows()]
        for split in source.splits
    }


def test_rows_are_read_from_the_log(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    inputs = ingested(run, tmp_path)
    assert folders(inputs["ingest"]) == {"probe"}
    source = row_source(run, inputs)
    assert dict(source.splits) == inputs["ingest"].manifest.rows
    assert tuple(source.splits) == SPLITS
    by_split = rows(source)
    every = [row for split in ("train", "valid", "test") for row in by_split[split]]
    assert every == [(i + 0.5, i % 3, i % 2) for i in range(50)]
    assert by_split["probe"][:10] == by_split["test"]
    assert len(by_split["probe"]) == 10 + 2 + 1 + 1
    assert source.kinds == run.config.features


def test_the_log_is_found_again_without_data(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    inputs = ingested(run, tmp_path)
    assert rows(row_source(replace(run, data=()), inputs)) == rows(row_source(run, inputs))


@pytest.mark.parametrize(
    ("split", "engine", "log"),
    [("rows", "native", {"typed_copy": True}), ("rows", "nvtabular", {}), ("time", "native", {})],
)
def test_a_typed_copy_where_it_is_needed_or_asked_for(
    tmp_path: Path, split: str, engine: str, log: dict[str, Any]
) -> None:
    run = run_of(tmp_path, split, engine, **log)
    inputs = ingested(run, tmp_path)
    assert folders(inputs["ingest"]) == set(SPLITS)
    source = row_source(run, inputs)
    assert isinstance(source, TypedParquet)
    assert dict(source.splits) == inputs["ingest"].manifest.rows
    assert tuple(typed_folders(inputs["ingest"])) == SPLITS
    first = (49.5, 1, 1) if split == "time" else (0.5, 0, 0)
    assert rows(source)["train"][0] == first


def test_the_copy_has_the_rows_of_the_log(tmp_path: Path) -> None:
    read = []
    for name, typed_copy in (("raw", False), ("typed", True)):
        run = run_of(tmp_path, "hash", typed_copy=typed_copy)
        read.append(rows(row_source(run, ingested(run, tmp_path / name))))
    assert read[0] == read[1]


def test_the_nvtabular_engine_needs_a_typed_copy(tmp_path: Path) -> None:
    inputs = ingested(run_of(tmp_path), tmp_path)
    with pytest.raises(StageError, match=r"no typed copy of the log, which --engine nvt.*--from i"):
        typed_folders(inputs["ingest"])


def packed(run: Run) -> Run:
    """The run with its log compressed."""
    (log,) = run.data
    log.write_bytes(gzip.compress(log.read_bytes()))
    return run


def test_the_spark_engine_reads_plain_text_itself_and_a_typed_copy_of_other_logs(
    tmp_path: Path,
) -> None:
    plain = run_of(tmp_path, engine="spark")
    inputs = ingested(plain, tmp_path / "plain")
    assert folders(inputs["ingest"]) == {"probe"}
    expected = rows(row_source(plain, inputs))
    run = packed(plain)
    inputs = ingested(run, tmp_path / "packed")
    assert folders(inputs["ingest"]) == set(SPLITS)
    assert rows(row_source(run, inputs)) == expected


def test_the_spark_engine_after_the_ingest_of_a_compressed_log_for_another(tmp_path: Path) -> None:
    run = packed(run_of(tmp_path))
    inputs = ingested(run, tmp_path)
    with pytest.raises(
        StageError, match=r"no typed copy of the log, which --engine spark .*--from"
    ):
        row_source(replace(run, engine="spark"), inputs)


def test_a_log_that_was_changed_or_lost(tmp_path: Path) -> None:
    run = run_of(tmp_path)
    inputs = ingested(run, tmp_path)
    (log,) = run.data
    log.write_text(log.read_text() + "1,1,1,1\n")
    with pytest.raises(
        DataError, match=r"log\.csv: wanted the file that stage ingest read .*--fro"
    ):
        row_source(run, inputs)
    log.unlink()
    with pytest.raises(DataError, match=r"log\.csv: wanted a log file, but there is no such file"):
        row_source(replace(run, data=()), inputs)


def test_a_log_that_was_ingested_with_other_settings(tmp_path: Path) -> None:
    inputs = ingested(run_of(tmp_path), tmp_path)
    with pytest.raises(StageError, match=r"log\.malformed_limit: was 100, is 7\. Run again with"):
        row_source(run_of(tmp_path, malformed_limit=7), inputs)


def test_a_drawn_log_moves_with_its_run(tmp_path: Path) -> None:
    config = Config.model_validate(
        {
            "name": "tiny",
            "click_model": {"rows": 600, "days": 3, "vocabulary": [40], "continuous": 1},
            "log": {
                "separator": "\t",
                "header": False,
                "columns": {"label": "label", "I1": "continuous", "C1": "hex"},
            },
            "split": {"by": "file", "valid": [1], "test": [2]},
            "workflow": {"graph": "criteo"},
        }
    )
    run = Run(config, (), "native", "merlin", "cpu", None)
    before = tmp_path / "before"
    generate.STAGE.ensure(run, before)
    ingest.STAGE.ensure(run, before)
    after = before.rename(tmp_path / "after")
    inputs = {
        "generate": generate.STAGE.ensure(run, after),
        "ingest": ingest.STAGE.ensure(run, after),
    }
    assert {split: len(read) for split, read in rows(row_source(run, inputs)).items()} == {
        "train": 200, "valid": 200, "test": 200, "probe": 200 + 2 + 1 + 1,
    }  # fmt: skip
