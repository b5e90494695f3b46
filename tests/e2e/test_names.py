"""Columns with odd names, from the log to the scores of a real server."""

from pathlib import Path

import polars as pl

from tests.conftest import Command
from tests.stages.test_names import NAMES, write_log


def test_odd_names_are_served(process: Command, tmp_path: Path) -> None:
    config = write_log(tmp_path, NAMES, rows=1500)
    ended = process(
        "pipelines/run_all.py", "--config", config, "--data", tmp_path / "log.parquet",
        "--out", tmp_path / "run",
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "run" / "report.json").is_file()
    probe = pl.read_parquet(tmp_path / "run" / "ingest" / "probe" / "*.parquet")
    assert set(NAMES) <= set(probe.columns)
