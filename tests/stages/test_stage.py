from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from plumbline.base.errors import ConfigError, DataError, StageError
from plumbline.settings import Config
from plumbline.stages.run import Run
from plumbline.stages.stage import Finished, Stage, StageResult, reads

RUN = Run(
    config=Config.model_validate(
        {
            "name": "tiny",
            "log": {"columns": {"click": "label", "x": "continuous"}},
            "split": {"by": "rows", "valid": 0.1, "test": 0.1},
            "workflow": {"graph": "standard"},
        }
    ),
    data=(),
    engine="nvtabular",
    model="merlin",
    device="cpu",
    scheduler=None,
)


class Counted:
    """Two stages, one after the other, that count how often they run."""

    def __init__(self) -> None:
        self.runs = {"first": 0, "second": 0}
        self.content = "one"
        self.first = Stage("first", reads(), lambda run: {"seed": run.config.seed}, self.write)
        self.second = Stage("second", reads("first"), lambda run: {}, self.read)

    def write(self, run: Run, inputs: Mapping[str, Finished], out: Path) -> StageResult:
        self.runs["first"] += 1
        (out / "data").write_text(self.content)
        return StageResult({"train": 1})

    def read(self, run: Run, inputs: Mapping[str, Finished], out: Path) -> StageResult:
        self.runs["second"] += 1
        (out / "copy").write_text((inputs["first"].folder / "data").read_text())
        return StageResult()


@pytest.fixture
def stages() -> Counted:
    return Counted()


def test_a_complete_stage_is_skipped(stages: Counted, tmp_path: Path) -> None:
    for _ in range(2):
        stages.first.ensure(RUN, tmp_path)
        stages.second.ensure(RUN, tmp_path)
    assert stages.runs == {"first": 1, "second": 1}


def test_a_graph_that_fails_deletes_nothing(stages: Counted, tmp_path: Path) -> None:
    def fail(run: Run, inputs: Mapping[str, Finished]) -> dict[str, str]:
        raise ConfigError("no such graph")

    stages.first.ensure(RUN, tmp_path)
    with pytest.raises(ConfigError):
        replace(stages.first, derived=fail).ensure(RUN, tmp_path, force=True)
    stages.first.ensure(RUN, tmp_path)
    assert stages.runs["first"] == 1


def test_what_changes_during_the_work_is_noticed(tmp_path: Path) -> None:
    """The manifest has what the work began with, such as the hash of a graph edited meanwhile."""
    graph = ["one"]

    def work(run: Run, inputs: Mapping[str, Finished], out: Path) -> StageResult:
        graph[0] = "two"
        return StageResult()

    stage = Stage("first", reads(), lambda run: {}, work, lambda *_: {"graph_sha256": graph[0]})
    stage.ensure(RUN, tmp_path)
    with pytest.raises(StageError, match="the graph has changed"):
        stage.ensure(RUN, tmp_path)


def test_changed_settings_raise_and_say_what_differs(stages: Counted, tmp_path: Path) -> None:
    stages.first.ensure(RUN, tmp_path)
    other = replace(RUN, config=RUN.config.model_copy(update={"seed": 7}))
    with pytest.raises(StageError, match=r"seed: was 1, is 7.*--from first"):
        stages.first.ensure(other, tmp_path)
    stages.first.ensure(other, tmp_path, force=True)
    assert stages.runs["first"] == 2


def test_a_changed_input_raises(stages: Counted, tmp_path: Path) -> None:
    stages.first.ensure(RUN, tmp_path)
    stages.second.ensure(RUN, tmp_path)
    stages.content = "two"
    stages.first.ensure(RUN, tmp_path, force=True)
    with pytest.raises(StageError, match="stage first was run again"):
        stages.second.ensure(RUN, tmp_path)


def test_the_same_output_made_again_does_not_disturb_later_stages(
    stages: Counted, tmp_path: Path
) -> None:
    stages.first.ensure(RUN, tmp_path)
    stages.second.ensure(RUN, tmp_path)
    stages.first.ensure(RUN, tmp_path, force=True)
    stages.second.ensure(RUN, tmp_path)
    assert stages.runs == {"first": 2, "second": 1}


def test_a_lost_file_is_noticed(stages: Counted, tmp_path: Path) -> None:
    finished = stages.first.ensure(RUN, tmp_path)
    (finished.folder / "data").unlink()
    with pytest.raises(StageError, match="data is missing"):
        stages.first.ensure(RUN, tmp_path)


def test_a_stage_does_not_start_without_its_input(stages: Counted, tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"first/manifest\.json: missing"):
        stages.second.ensure(RUN, tmp_path)


def test_a_failed_stage_is_not_complete(tmp_path: Path) -> None:
    def fail(run: Run, inputs: Mapping[str, Finished], out: Path) -> StageResult:
        (out / "half").write_text("written")
        raise DataError("no rows")

    stage = Stage("first", reads(), lambda run: {}, fail)
    with pytest.raises(DataError):
        stage.ensure(RUN, tmp_path)
    assert not (tmp_path / "first" / "manifest.json").exists()
