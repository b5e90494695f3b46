"""Publishing into a live repository, with a stand-in for the server's model control."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from plumbline.base.errors import PlumblineError
from plumbline.columns.wire import Tensors
from plumbline.serving.contract.check_rows import CheckRows
from plumbline.serving.contract.log_rules import LogRules
from plumbline.serving.contract.versions import (
    INTEGRITY_FILE,
    parameters_of,
    verify_repository,
)
from plumbline.serving.errors import RepositoryError, ServerError
from plumbline.serving.publish.live_repository import (
    JOURNAL_FILE,
    LOCK_FILE,
    Journal,
    LiveRepository,
    publish_lock,
)
from plumbline.serving.publish.live_server import LiveServer
from plumbline.serving.publish.publish import Published, publish, roll_back_interrupted
from plumbline.serving.repository.configs import write_config
from plumbline.serving.repository.release import Release, write_version
from plumbline.settings import Log, Serving
from tests.serving.releases import ROWS, SETTINGS, export_repository, model_of, write_small_plan

PYTHON_MODELS = ("ctr_features", "ctr_dlrm", "ctr_fused")


class Served(LiveServer):
    """A server that loads what the configs list, answers as it was exported, and fails on demand.

    `fails` gets the model and the number of loads before.
    """

    def __init__(self, folder: Path, fails: Callable[[str, int], bool] = lambda *_: False) -> None:
        self.folder, self.fails = folder, fails
        self.loads: list[str] = []
        self.listed: list[dict[str, list[str]]] = []
        """The versions in the configs at each load."""
        self.ready = LiveRepository.read(folder).versions

    def load(self, model: str) -> None:
        self.loads.append(model)
        self.listed.append(listed(self.folder))
        if self.fails(model, len(self.loads) - 1):
            raise ServerError("no luck")
        self.ready = {**self.ready, model: LiveRepository.read(self.folder).versions[model]}

    def ready_versions(self, model: str) -> set[str]:
        return set(self.ready[model])

    def infer(self, model: str, tensors: Tensors, version: str = "") -> "Answer":
        checked = "ctr_fused" if model == "ctr" else model
        check = CheckRows.read(self.folder / checked / version / "check.arrow")
        for name, wanted in check.inputs.items():
            np.testing.assert_array_equal(tensors[name], wanted)
        return Answer(check.outputs)

    def config(self, model: str, version: str = "") -> None:
        raise NotImplementedError

    def close(self) -> None:
        """Nothing is open."""


class Answer:
    def __init__(self, outputs: Tensors) -> None:
        self.outputs = outputs

    def as_numpy(self, name: str) -> np.ndarray:
        return self.outputs[name]


def release_of(folder: Path, number: int) -> Release:
    plan = write_small_plan(folder / f"plan {number}", ["Oslo", "Rome", "Lima"][:number])
    return Release.of(plan, model_of(plan, folder / f"model {number}", number), ROWS, SETTINGS)


@pytest.fixture
def live(tmp_path: Path) -> Path:
    first = release_of(tmp_path, 1)
    out = tmp_path / "out"
    return export_repository(first.plan, first.model_folder, out, SETTINGS, ROWS)


def quietly(line: str) -> None:
    """A report that shows nothing."""


def content(folder: Path) -> dict[str, bytes]:
    files = (file for file in folder.rglob("*") if file.is_file() and file.name != LOCK_FILE)
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


def listed(repository: Path) -> dict[str, list[str]]:
    versions = LiveRepository.read(repository).versions
    return {model: list(numbers) for model, numbers in versions.items()}


def test_three_releases_one_after_the_other(live: Path, tmp_path: Path) -> None:
    server, lines = Served(live), []
    for number in (2, 3):
        release = release_of(tmp_path, number)
        assert publish(release, live, SETTINGS, server, lines.append) == Published(
            str(number), is_new=True
        )
        verify_repository(live, large_files=True)
    assert server.loads == 2 * [*PYTHON_MODELS, "ctr"]
    assert listed(live) == {**{model: ["2", "3"] for model in PYTHON_MODELS}, "ctr": ["3"]}
    folders = {f.name for m in PYTHON_MODELS for f in (live / m).iterdir() if f.is_dir()}
    assert folders == {"2", "3"}, "the version before stays, older ones go"
    assert "model_version: 3" in (live / "ctr" / "config.pbtxt").read_text()
    assert lines[0] == f"version 2 beside version 1 in {live}"
    assert lines[1] == "ctr_features: loaded and checked"


def test_the_release_that_is_served_is_not_published_again(live: Path, tmp_path: Path) -> None:
    before, server = content(live), Served(live)
    found = publish(release_of(tmp_path, 1), live, SETTINGS, server, quietly)
    assert found == Published("1", is_new=False)
    assert content(live) == before
    assert server.loads == []


def test_other_rules_of_the_log_make_a_version_of_their_own(live: Path, tmp_path: Path) -> None:
    release = release_of(tmp_path, 2)
    for number, separator in (("2", ";"), ("3", "|")):
        log = Log(columns={"y": "label", "price": "continuous"}, separator=separator)
        ruled = replace(release, rules=LogRules.of(log, {}).to_json())
        for is_new in (True, False):
            found = publish(ruled, live, SETTINGS, None, quietly)
            assert found == Published(number, is_new)
    read = LiveRepository.read(live)
    for number, separator in (("2", ";"), ("3", "|")):
        parameters, _ = parameters_of("ctr_fused", read.parameters["ctr_fused"], number)
        assert json.loads(parameters["log"])["separator"] == separator
    assert json.loads(read.parameters["ctr"]["log"])["separator"] == "|", "of the newest"
    verify_repository(live, large_files=True)


def test_without_a_server_the_files_are_published(live: Path, tmp_path: Path) -> None:
    assert publish(release_of(tmp_path, 2), live, SETTINGS, None, quietly).is_new
    verify_repository(live, large_files=True)
    assert LiveRepository.read(live).current == "2"


@pytest.mark.parametrize("index", range(4))
def test_a_load_that_is_refused_changes_nothing(live: Path, tmp_path: Path, index: int) -> None:
    publish(release_of(tmp_path, 2), live, SETTINGS, None, quietly)
    before = content(live)
    server = Served(live, lambda _, loads: loads == index)
    message = r"version 3 was not published, back to version 2\. no luck"
    with pytest.raises(RepositoryError, match=message):
        publish(release_of(tmp_path, 3), live, SETTINGS, server, quietly)
    assert content(live) == before
    verify_repository(live, large_files=True)
    back = ["ctr", "ctr_fused", "ctr_dlrm", "ctr_features"]
    assert server.loads == [*PYTHON_MODELS, "ctr"][: index + 1] + back
    assert {m: set(v) for m, v in listed(live).items()} == {m: set(server.ready[m]) for m in back}
    if index < len(PYTHON_MODELS):
        refused_again = [m for at in server.listed[index + 1 :] for m in at if "3" in at[m]]
        assert not refused_again, "loading the ensemble would load them once more"


@pytest.mark.parametrize("model", [*PYTHON_MODELS, "ctr"])
def test_a_wrong_answer_changes_nothing(live: Path, tmp_path: Path, model: str) -> None:
    class Wrong(Served):
        def infer(self, asked: str, tensors: Tensors, version: str = "") -> Answer:
            outputs = super().infer(asked, tensors, version).outputs
            return Answer({n: t + 1 for n, t in outputs.items()} if asked == model else outputs)

    before = content(live)
    with pytest.raises(RepositoryError, match=f"Model '{model}', version 2: the model's outputs"):
        publish(release_of(tmp_path, 2), live, SETTINGS, Wrong(live), quietly)
    assert content(live) == before


def test_a_version_that_the_server_does_not_load_is_an_error(live: Path, tmp_path: Path) -> None:
    class Deaf(Served):
        def load(self, model: str) -> None:
            self.loads.append(model)

    with pytest.raises(RepositoryError, match="wanted version 2, but the server has version 1"):
        publish(release_of(tmp_path, 2), live, SETTINGS, Deaf(live), quietly)


def test_a_server_of_another_repository_is_refused_first(live: Path, tmp_path: Path) -> None:
    server = Served(live)
    publish(release_of(tmp_path, 2), live, SETTINGS, None, quietly)
    before = content(live)
    with pytest.raises(ServerError, match=r"has version 1 of 'ctr' loaded, but .* has version 2"):
        publish(release_of(tmp_path, 3), live, SETTINGS, server, quietly)
    assert content(live) == before


def test_the_next_publish_rolls_back_what_a_lost_server_prevented(
    live: Path, tmp_path: Path
) -> None:
    before = content(live)
    server = Served(live, lambda _, loads: loads >= 2)
    with pytest.raises(RepositoryError, match=r"2 was not published.*'ctr' could not be restored"):
        publish(release_of(tmp_path, 2), live, SETTINGS, server, quietly)
    assert content(live).keys() - before.keys() == {JOURNAL_FILE}
    lines: list[str] = []
    again = Served(live)
    assert publish(release_of(tmp_path, 2), live, SETTINGS, again, lines.append).number == "2"
    assert lines[0] == "the publish of version 2 was interrupted: rolled back"
    assert not (live / JOURNAL_FILE).exists()


@pytest.mark.parametrize("reached", ["journal", "part of a version", "versions", "configs"])
def test_a_killed_publish_is_rolled_back(live: Path, tmp_path: Path, reached: str) -> None:
    before, release = content(live), release_of(tmp_path, 2)
    Journal.begin(live, "2")
    if reached == "part of a version":
        (live / "ctr_fused" / ".2.partial" / "plan").mkdir(parents=True)
    if reached in ("versions", "configs"):
        write_version(release, live, "2")
    if reached == "configs":
        write_config(live, "ctr_features", "of version 2")
        (live / INTEGRITY_FILE).write_text("of version 2")
    lines: list[str] = []
    roll_back_interrupted(live, lines.append)
    assert lines == ["the publish of version 2 was interrupted: rolled back"]
    assert content(live) == before
    assert not [folder for folder in live.rglob("*2*") if folder.is_dir()]
    roll_back_interrupted(live, lines.append)
    assert len(lines) == 1


def test_a_repository_without_its_hashes_is_not_published_into(live: Path, tmp_path: Path) -> None:
    (live / INTEGRITY_FILE).unlink()
    before = content(live)
    with pytest.raises(RepositoryError, match=r"integrity\.json: missing.*Export"):
        publish(release_of(tmp_path, 2), live, SETTINGS, None, quietly)
    assert content(live) == before


def test_a_second_publish_at_the_same_time_is_refused(live: Path, tmp_path: Path) -> None:
    release = release_of(tmp_path, 2)
    with publish_lock(live), pytest.raises(RepositoryError, match="another publish is running"):
        publish(release, live, SETTINGS, None, quietly)
    assert publish(release, live, SETTINGS, None, quietly).is_new


def test_an_interrupt_is_rolled_back_too(live: Path, tmp_path: Path) -> None:
    class Interrupted(Served):
        def infer(self, *_: object) -> Answer:
            raise KeyboardInterrupt

    before = content(live)
    with pytest.raises(KeyboardInterrupt):
        publish(release_of(tmp_path, 2), live, SETTINGS, Interrupted(live), quietly)
    assert content(live) == before


def test_the_largest_request_may_not_become_smaller(live: Path, tmp_path: Path) -> None:
    fewer = Serving(max_batch_size=32)
    with pytest.raises(RepositoryError, match=r"may send 64 rows in a request.*would accept 32"):
        publish(release_of(tmp_path, 2), live, fewer, None, quietly)


def test_the_first_release_creates_the_repository(live: Path, tmp_path: Path) -> None:
    new, release = tmp_path / "new" / "live", release_of(tmp_path, 1)
    assert publish(release, new, SETTINGS, None, quietly) == Published("1", is_new=True)
    verify_repository(new, large_files=True)
    assert content(new).keys() == content(live).keys()
    with pytest.raises(RepositoryError, match="absent: wanted a model repository"):
        publish(release, tmp_path / "absent", SETTINGS, Served(live), quietly)


@pytest.mark.parametrize(
    "file",
    ["ctr/config.pbtxt", "ctr_fused/2/manifest.json", "ctr_fused/1/model.py", "integrity.json"],
)
def test_a_changed_file_of_a_published_repository_is_named(
    live: Path, tmp_path: Path, file: str
) -> None:
    publish(release_of(tmp_path, 2), live, SETTINGS, None, quietly)
    verify_repository(live, large_files=True)
    target = live / file
    target.write_bytes(target.read_bytes()[:-20])
    with pytest.raises(PlumblineError, match=f"{file}: wanted"):
        verify_repository(live, large_files=True)


def test_compiled_code_is_removed(live: Path, tmp_path: Path) -> None:
    publish(release_of(tmp_path, 2), live, SETTINGS, None, quietly)
    compiled = live / "ctr_fused" / "1" / "__pycache__"
    compiled.unlink()
    compiled.mkdir()
    (compiled / "model.cpython-311.pyc").write_bytes(b"evil")
    verify_repository(live, large_files=True)
    assert not compiled.exists()
