"""A stage names the file that it reads and that is no longer what was written or read before."""

from __future__ import annotations

import gzip
import os
import shutil
import struct
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import polars as pl
import pytest

from plumbline.base.errors import DataError, StageError
from plumbline.settings import Config
from plumbline.stages.run import Run
from plumbline.stages.stage import Stage

ROWS = 300


def run_of(folder: Path, log_format: str) -> Run:
    config = Config.model_validate(
        {
            "name": "tiny",
            "log": {
                "columns": {"y": "label", "x": "continuous", "c": "integer"},
                "format": "parquet" if log_format == "parquet" else "csv",
            },
            "tables": {"shops": {"file": "shops.csv", "columns": {"c": "key", "s": "string"}}},
            "split": {"by": "rows", "valid": 0.2, "test": 0.2},
            "workflow": {"graph": "standard"},
            "model": {"embedding_dim": 4, "bottom_mlp": [4], "top_mlp": [4]},
            "training": {"epochs": 1, "batch_size": 32},
        }
    )
    log = folder / f"log.{log_format}"
    rows = pl.DataFrame(
        {
            "y": [i * 7 % 11 % 2 for i in range(ROWS)],
            "x": [i + 0.5 for i in range(ROWS)],
            "c": [i % 5 for i in range(ROWS)],
        }
    )
    if log_format == "parquet":
        rows.write_parquet(log, compression="uncompressed")
    else:
        text = rows.write_csv().encode()
        log.write_bytes(gzip.compress(text, 0) if log_format == "gz" else text)
    (folder / "shops.csv").write_text("c,s\n" + "".join(f"{i},s{i}\n" for i in range(5)))
    return Run(config, (log,), "native", "fused", "cpu", None)


def stage(name: str) -> Stage:
    found: Stage = import_module(f"plumbline.stages.{name}").STAGE
    return found


@pytest.fixture(scope="module")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Path]:
    """A run up to stage export, and its folder."""
    folder = tmp_path_factory.mktemp("finished")
    run = run_of(folder, "csv")
    for name in ("ingest", "etl", "train", "evaluate", "export"):
        stage(name).ensure(run, folder / "run")
    return run, folder / "run"


def unseen(edit: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    """An edit that keeps the file's size and times."""

    def change(file: Path) -> None:
        times, before = file.stat(), file.read_bytes()
        after = edit(before)
        assert len(after) == len(before) and after != before
        file.write_bytes(after)
        os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))

    return change


flip = unseen(lambda content: content[:-9] + bytes([content[-9] ^ 1]) + content[-8:])


def invert_labels(file: Path) -> None:
    pl.read_parquet(file).with_columns(1 - pl.col("click")).write_parquet(file)


def add_a_part(file: Path) -> None:
    shutil.copyfile(file, file.with_name("part-00007.parquet"))


@pytest.mark.parametrize(
    ("reader", "file", "edit", "named"),
    [
        ("etl", "ingest/survey.json", flip, "survey.json"),
        ("etl", "ingest/probe/part-00000.parquet", invert_labels, "probe/part-00000.parquet"),
        ("train", "etl/train/part-00000.parquet", invert_labels, "train/part-00000.parquet"),
        ("train", "etl/train/part-00000.parquet", Path.unlink, "train/part-00000.parquet"),
        ("train", "etl/train/part-00000.parquet", add_a_part, "train/part-00007.parquet"),
        ("train", "etl/valid/part-00000.parquet", flip, "valid/part-00000.parquet"),
        ("train", "etl/plan/plan.json", flip, "plan/plan.json"),
        ("evaluate", "etl/test/part-00000.parquet", invert_labels, "test/part-00000.parquet"),
        ("evaluate", "train/model/model.safetensors", flip, "model/model.safetensors"),
        ("export", "etl/plan/vocabulary/s.parquet", flip, "vocabulary/s.parquet"),
        ("export", "train/model/model.json", flip, "model/model.json"),
        ("export", "ingest/probe/part-00000.parquet", add_a_part, "probe/part-00007.parquet"),
    ],
)
def test_a_file_of_another_stage_that_was_changed_is_named(
    tmp_path: Path,
    finished_run: tuple[Run, Path],
    reader: str,
    file: str,
    edit: Callable[[Path], None],
    named: str,
) -> None:
    run, folder = finished_run
    shutil.copytree(folder, tmp_path / "run")
    edit(tmp_path / "run" / file)
    with pytest.raises(StageError, match=named):
        stage(reader).ensure(run, tmp_path / "run", force=True)
    assert not (tmp_path / "run" / reader / "manifest.json").exists()


def other_values(file: Path) -> None:
    """One digit of a row is another; the file's size and times stay."""
    if file.suffix == ".gz":
        text = gzip.decompress(file.read_bytes())
        unseen(lambda _: gzip.compress(text.replace(b"1", b"0", 1), 0))(file)
    elif file.suffix == ".parquet":
        unseen(lambda content: content.replace(struct.pack("<d", 3.5), struct.pack("<d", 4.5)))(
            file
        )
    else:
        unseen(lambda content: content.replace(b"s1", b"s9").replace(b"7.5", b"8.5", 1))(file)


@pytest.mark.parametrize("name", ["log.csv", "log.gz", "log.parquet", "shops.csv"])
def test_a_raw_file_of_the_same_size_and_time_is_known_by_its_content(
    tmp_path: Path, name: str
) -> None:
    run = run_of(tmp_path, name.removeprefix("log.") if name.startswith("log") else "csv")
    stage("ingest").ensure(run, tmp_path / "run")
    stage("etl").ensure(run, tmp_path / "run")
    stage("etl").ensure(run, tmp_path / "run", verify=True)
    other_values(tmp_path / name)
    stage("ingest").ensure(run, tmp_path / "run")
    stage("etl").ensure(run, tmp_path / "run")
    for options in ({"verify": True}, {"force": True}):
        with pytest.raises(DataError, match=rf"{name}: .*stage ingest read.*--from ingest"):
            stage("etl").ensure(run, tmp_path / "run", **options)
    stage("ingest").ensure(run, tmp_path / "run", force=True)
    stage("etl").ensure(run, tmp_path / "run")
