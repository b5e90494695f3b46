import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from plumbline.base.errors import ConfigError, DataError, StageError
from plumbline.base.files import remove
from plumbline.settings import Config
from plumbline.stages.finished import Finished
from plumbline.stages.run import Run
from plumbline.stages.stage import Stage, StageResult, reads

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
        (out / "copy").write_text(inputs["first"].path("data").read_text())
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


def test_a_stage_begins_in_an_empty_folder(stages: Counted, tmp_path: Path) -> None:
    """What a killed stage left behind is in no manifest."""
    left = tmp_path / "first" / ".copy-XXXX"
    left.mkdir(parents=True)
    (left / "half").write_text("")
    (tmp_path / "first" / "data.partial").write_text("")
    (tmp_path / "outside").mkdir()
    (tmp_path / "first" / "link").symlink_to(tmp_path / "outside")
    (tmp_path / "outside" / "kept").write_text("")
    finished = stages.first.ensure(RUN, tmp_path)
    assert list(finished.manifest.files) == ["data"]
    assert sorted(file.name for file in finished.folder.iterdir()) == ["data", "manifest.json"]
    assert (tmp_path / "outside" / "kept").exists()


class Resumed:
    """A stage that goes on from `steps`, and can be killed at any of its moments."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.monkeypatch = monkeypatch
        self.begun: list[bool] = []
        self.stage = Stage("first", reads(), lambda run: {}, self.work, resumes_from=("steps",))

    def work(self, run: Run, inputs: Mapping[str, Finished], out: Path) -> StageResult:
        self.begun.append((out / "steps" / "1").exists())
        (out / "steps").mkdir(exist_ok=True)
        for name in ("1", "2"):
            (out / "steps" / name).write_text("")
        (out / "data").write_text("one")
        return StageResult()

    def killed_at(self, target: str, call: int, folder: Path) -> bool:
        """Run the stage; whether it was killed at this call of the function."""
        calls = [call]
        module, name = target.rsplit(".", 1)
        original = getattr(import_module(module), name)

        def kill(*arguments: Any, **named: Any) -> Any:
            calls[0] -= 1
            if calls[0] < 0:
                raise Killed
            return original(*arguments, **named)

        with self.monkeypatch.context() as patch:
            patch.setattr(target, kill)
            try:
                self.stage.ensure(RUN, folder)
            except Killed:
                return True
        return False


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize(
    "target",
    [
        "plumbline.stages.stage.remove",
        "plumbline.stages.stage.record_files",
        "plumbline.base.files.flush",
        "json.dumps",
        "shutil.rmtree",
        "os.unlink",
        "os.rmdir",
    ],
)
def test_a_kill_at_any_moment_is_made_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    whole = Resumed(monkeypatch).stage.ensure(RUN, tmp_path / "whole").manifest
    assert list(whole.files) == ["data"]
    resumed = Resumed(monkeypatch)
    for call in range(30):
        folder = tmp_path / str(call)
        if not resumed.killed_at(target, call, folder):
            break
        has_manifest = (folder / "first" / "manifest.json").exists()
        began = len(resumed.begun)
        assert resumed.stage.ensure(RUN, folder).manifest.hash == whole.hash
        assert (len(resumed.begun) == began) == has_manifest
        assert sorted(file.name for file in (folder / "first").iterdir()) == [
            "data",
            "manifest.json",
        ]
    assert call > 0


def test_what_a_stage_goes_on_from_is_kept_until_it_is_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resumed = Resumed(monkeypatch)
    assert resumed.killed_at("plumbline.stages.stage.record_files", 0, tmp_path)
    resumed.stage.ensure(RUN, tmp_path)
    resumed.stage.ensure(RUN, tmp_path, force=True)
    assert resumed.begun == [False, True, False]


def test_force_removes_the_manifest_first(
    stages: Counted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stages.first.ensure(RUN, tmp_path)
    removed: list[str] = []

    def kill(path: Path) -> None:
        if removed:
            raise Killed
        removed.append(path.name)
        remove(path)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr("plumbline.stages.stage.remove", kill)
        stages.first.ensure(RUN, tmp_path, force=True)
    assert removed == ["manifest.json"] and (tmp_path / "first" / "data").exists()
    stages.first.ensure(RUN, tmp_path)
    assert stages.runs["first"] == 2


@pytest.mark.parametrize(
    "make", [Path.mkdir, os.mkfifo, Path.touch], ids=["folder", "pipe", "file"]
)
def test_force_makes_a_manifest_good_that_is_none(
    stages: Counted, tmp_path: Path, make: Callable[[Path], None]
) -> None:
    (tmp_path / "first").mkdir()
    make(tmp_path / "first" / "manifest.json")
    with pytest.raises(StageError, match=r"first/manifest\.json: not a stage manifest.*--force"):
        stages.first.ensure(RUN, tmp_path)
    stages.first.ensure(RUN, tmp_path, force=True)
    stages.first.ensure(RUN, tmp_path)
    assert stages.runs["first"] == 1


@pytest.mark.parametrize("force", [False, True])
def test_a_stage_folder_that_is_a_file_is_named(
    stages: Counted, tmp_path: Path, force: bool
) -> None:
    (tmp_path / "first").write_text("")
    with pytest.raises(StageError, match="first: wanted the stage's folder"):
        stages.first.ensure(RUN, tmp_path, force=force)


def change(file: Path) -> None:
    """Other content of the same size and time."""
    before = file.stat()
    file.write_text("eno")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (change, r"first/data: wanted SHA-256 .*changed after stage 'first' wrote it"),
        (Path.unlink, r"first/data: missing\. Run stage 'first' again with --force"),
    ],
)
def test_a_stage_does_not_take_an_input_that_was_changed(
    stages: Counted, tmp_path: Path, edit: Callable[[Path], None], message: str
) -> None:
    stages.first.ensure(RUN, tmp_path)
    edit(tmp_path / "first" / "data")
    with pytest.raises(StageError, match=message):
        stages.second.ensure(RUN, tmp_path)
    assert not (tmp_path / "second" / "manifest.json").exists()


def test_an_input_that_is_replaced_during_the_work_is_named(tmp_path: Path) -> None:
    counted = Counted()

    def work(run: Run, inputs: Mapping[str, Finished], out: Path) -> StageResult:
        file = inputs["first"].path("data")
        for check in inputs["first"].checks._checks.values():
            check.require()
        file.with_name("other").write_text("eno")
        file.with_name("other").replace(file)
        return StageResult()

    counted.first.ensure(RUN, tmp_path)
    with pytest.raises(StageError, match="first/data: wanted SHA-256"):
        Stage("second", reads("first"), lambda run: {}, work).ensure(RUN, tmp_path)


def test_the_changed_input_is_named_not_what_it_led_to(tmp_path: Path) -> None:
    counted = Counted()

    def work(run: Run, inputs: Mapping[str, Finished], out: Path) -> StageResult:
        raise ValueError(f"no rows in {inputs['first'].path('data')}")

    second = Stage("second", reads("first"), lambda run: {}, work)
    counted.first.ensure(RUN, tmp_path)
    with pytest.raises(ValueError, match="no rows"):
        second.ensure(RUN, tmp_path)
    change(tmp_path / "first" / "data")
    with pytest.raises(StageError, match="first/data: wanted SHA-256"):
        second.ensure(RUN, tmp_path)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda folder: change(folder / "data"), "first/data: wanted SHA-256"),
        (lambda folder: (folder / "more").write_text(""), "first/more: not a file that stage"),
    ],
)
def test_verify_checks_complete_stages(
    stages: Counted, tmp_path: Path, edit: Callable[[Path], None], message: str
) -> None:
    stages.first.ensure(RUN, tmp_path)
    stages.first.ensure(RUN, tmp_path, verify=True)
    edit(tmp_path / "first")
    stages.first.ensure(RUN, tmp_path)
    with pytest.raises(StageError, match=message):
        stages.first.ensure(RUN, tmp_path, verify=True)
