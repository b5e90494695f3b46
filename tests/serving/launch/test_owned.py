"""What nobody owns any more is removed, and nothing else."""

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from plumbline.serving.errors import ServerError
from plumbline.serving.launch import owned
from plumbline.serving.launch.owned import OwnedFolder, OwnedRegions, sweep

OTHER = """
import sys, time, subprocess, tempfile
from pathlib import Path
from plumbline.serving.errors import ServerError
from plumbline.serving.launch import owned
owned.REGIONS = Path(sys.argv[1])
regions, folder = owned.OwnedRegions(), owned.OwnedFolder("server", sys.argv[1])
Path(regions.path_prefix + "model").touch()
sleeps = [sys.executable, "-c", "import time; time.sleep(60)", regions.prefix]
model = subprocess.Popen(sleeps, start_new_session=True, stdout=subprocess.DEVNULL)
print(model.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owned, "REGIONS", tmp_path)
    monkeypatch.setattr(owned, "TEMPORARY", ())
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def is_running(command_line: Path) -> bool:
    """A process has a command line from its start to its end."""
    return command_line.exists() and command_line.read_bytes() != b""


def wait_until(reached: Callable[[], bool]) -> None:
    give_up = time.monotonic() + 10
    while not reached():
        assert time.monotonic() < give_up
        time.sleep(0.01)


def test_of_a_dead_process_everything_is_removed_of_a_living_one_nothing(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OTHER, tmp_path], stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        command_line = Path("/proc", other.stdout.readline().strip(), "cmdline")
        before = sorted(tmp_path.rglob("*"))
        assert len(before) == 4, "two of shared memory, and a folder with its lock"
        sweep()
        assert sorted(tmp_path.rglob("*")) == before
        wait_until(lambda: is_running(command_line))
        other.kill()
        other.wait()
        sweep()
        assert not list(tmp_path.iterdir())
        wait_until(lambda: not is_running(command_line))


def test_the_owner_removes_its_own(tmp_path: Path) -> None:
    regions, another = OwnedRegions(), OwnedRegions()
    for prefix in (regions.path_prefix, another.path_prefix):
        Path(prefix + "model").touch()
    regions.clear()
    assert not Path(regions.path_prefix + "model").exists()
    assert Path(regions.path_prefix + "lock").exists(), "it is still owned"
    regions.close()
    assert {file.name for file in tmp_path.iterdir()} == {
        another.prefix + "model", another.prefix + "lock",
    }  # fmt: skip
    another.close()
    assert not list(tmp_path.iterdir())


def test_a_folder_is_removed_or_kept(tmp_path: Path) -> None:
    removed, empty, kept = (OwnedFolder("server") for _ in range(3))
    (kept.path / "triton.log").touch()
    (removed.path / "triton.log").touch()
    removed.close()
    empty.keep()
    kept.keep()
    sweep()
    assert list(tmp_path.iterdir()) == [kept.path]
    assert [file.name for file in kept.path.iterdir()] == ["triton.log"]


def test_places_that_cannot_be_written_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owned, "REGIONS", Path("/nowhere"))
    with pytest.raises(ServerError, match=r"/nowhere: wanted a folder for shared mem.*\(No such"):
        OwnedRegions()
    with pytest.raises(ServerError, match=r"No temporary folder can be made \(No such.*TMPDIR"):
        OwnedFolder("server", "/nowhere")


def test_files_that_are_not_locks_stay(tmp_path: Path) -> None:
    (tmp_path / "plumbline_of_another_program").touch()
    (tmp_path / "plumbline-notes").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "kept").touch()
    (tmp_path / "plumbline_x_lock").symlink_to(tmp_path / "elsewhere" / "kept")
    before = sorted(tmp_path.rglob("*"))
    sweep()
    assert sorted(tmp_path.rglob("*")) == before


def test_a_region_without_a_lock_file_is_removed(tmp_path: Path) -> None:
    """A process that dies later than its lock file may still make one."""
    regions = OwnedRegions()
    mine = Path(regions.path_prefix + "model")
    orphan = tmp_path / f"plumbline_{'0' * 16}_model"
    other = tmp_path / "plumbline_other_model"
    for file in (mine, orphan, other):
        file.touch()
    sweep()
    assert mine.exists() and other.exists() and not orphan.exists()
    regions.close()
