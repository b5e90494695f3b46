"""`plumbline status`: what a run's folder holds, while it works and afterwards."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from typer.testing import CliRunner

from plumbline.base.errors import StageError
from plumbline.base.manifest import MANIFEST_FILE, Manifest
from plumbline.cli import app
from plumbline.stages.parent import Link
from plumbline.stages.run import PARENT
from plumbline.stages.run_lock import run_lock
from plumbline.stages.status import BEGUN, COMPLETE, DAMAGED, OUTDATED, status_of


def complete(run: Path, stage: str, *inputs: str, rows: int = 7) -> Manifest:
    """A stage with one file of 100 bytes."""
    (run / stage).mkdir(parents=True, exist_ok=True)
    (run / stage / "file").write_bytes(bytes(100))
    hashes = {name: Manifest.read(run / name.replace(PARENT, "../shop/")).hash for name in inputs}
    manifest = Manifest(stage, {}, hashes, [], {"train": rows}, {}, {}, 2.5)
    manifest.write(run / stage)
    return manifest


def printed(run: Path, *options: str) -> str:
    done = CliRunner().invoke(app, ["status", str(run), *options])
    assert done.exit_code == 0, done.output
    return done.output


def states(run: Path) -> Sequence[tuple[str, str]]:
    return [(stage.stage, stage.state) for stage in status_of(run).stages]


def test_complete_begun_and_missing_stages(tmp_path: Path) -> None:
    complete(tmp_path, "ingest")
    complete(tmp_path, "etl", "ingest")
    (tmp_path / "train").mkdir()
    found = status_of(tmp_path)
    assert states(tmp_path) == [("ingest", COMPLETE), ("etl", COMPLETE), ("train", BEGUN)]
    assert found.goes_on_with == "train"
    etl = found.stages[1]
    assert (etl.inputs, etl.rows, etl.seconds) == (("ingest",), {"train": 7}, 2.5)
    assert etl.bytes == 100 + (tmp_path / "etl" / MANIFEST_FILE).stat().st_size
    text = printed(tmp_path)
    assert "train 7" in text and "begun: it has not ended" in text
    assert "The next run does: train." in text


def test_a_stage_whose_input_was_run_again(tmp_path: Path) -> None:
    complete(tmp_path, "ingest")
    complete(tmp_path, "etl", "ingest")
    complete(tmp_path, "ingest", rows=8)
    assert states(tmp_path) == [("ingest", COMPLETE), ("etl", OUTDATED)]
    assert "outdated: ingest was run again or is gone" in printed(tmp_path)
    assert status_of(tmp_path).goes_on_with == "etl"


def test_an_appended_day_reads_the_run_before_it(tmp_path: Path) -> None:
    shop, day = tmp_path / "shop", tmp_path / "shop+1"
    complete(shop, "etl")
    complete(day, "ingest")
    complete(day, "etl", "ingest", f"{PARENT}etl")
    Link("../shop", 1, (), ()).write(day)
    assert states(day) == [("ingest", COMPLETE), ("etl", COMPLETE)]
    complete(shop, "etl", rows=8)
    assert states(day) == [("ingest", COMPLETE), ("etl", OUTDATED)]


def test_a_damaged_manifest(tmp_path: Path) -> None:
    complete(tmp_path, "ingest")
    (tmp_path / "ingest" / MANIFEST_FILE).write_text("{")
    assert states(tmp_path) == [("ingest", DAMAGED)]
    assert "not a stage manifest" in printed(tmp_path)


def test_a_whole_run(tmp_path: Path) -> None:
    complete(tmp_path, "ingest")
    for name in ("etl", "train", "evaluate", "export", "serve"):
        complete(tmp_path, name, "ingest")
    assert status_of(tmp_path).goes_on_with is None
    assert "The run is complete." in printed(tmp_path)


def test_a_run_that_draws_its_logs_begins_with_them(tmp_path: Path) -> None:
    (tmp_path / "generate").mkdir()
    assert status_of(tmp_path).goes_on_with == "generate"


def test_who_works_there(tmp_path: Path) -> None:
    complete(tmp_path, "ingest")
    with run_lock(tmp_path):
        assert "Now works here: process " in printed(tmp_path)
        works = json.loads(printed(tmp_path, "--json"))["works"]
        assert works.startswith("process ")
    assert status_of(tmp_path).works is None


def test_json(tmp_path: Path) -> None:
    complete(tmp_path, "ingest")
    found = json.loads(printed(tmp_path, "--json"))
    assert found["goes_on_with"] == "etl"
    assert found["stages"][0]["state"] == COMPLETE
    assert found["folder"] == str(tmp_path)


def test_another_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="wanted a run's folder"):
        status_of(tmp_path)
