"""A folder for shared memory that is too small is named as the cause."""

import os
import shutil
import signal
from pathlib import Path
from types import SimpleNamespace

import pytest

from plumbline.serving.errors import ServerError
from plumbline.serving.launch.shared_memory import SharedMemory

MIB = 2**20


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The free bytes of the folder, at each look."""
    found = [0]
    usage = lambda folder: SimpleNamespace(free=found[-1], total=128 * MIB)  # noqa: E731
    monkeypatch.setattr(shutil, "disk_usage", usage)
    return found


def repository(folder: Path) -> Path:
    for model in ("ctr_features", "ctr_fused"):
        (folder / model / "1").mkdir(parents=True)
        (folder / model / "1" / "model.py").touch()
    (folder / "ctr" / "1").mkdir(parents=True)
    return folder


def test_less_than_every_model_needs_is_refused(tmp_path: Path, free: list[int]) -> None:
    space = SharedMemory(Path("/dev/shm"))
    free.append(2 * MIB - 1)
    with pytest.raises(ServerError, match=r"shm: wanted 2 MiB or more .*, 2\.0 of its 128 MiB"):
        space.require(repository(tmp_path))
    free.append(2 * MIB)
    space.require(tmp_path)


def test_a_crash_with_little_room_left_at_any_time_is_suspicious(
    tmp_path: Path, free: list[int]
) -> None:
    space = SharedMemory(Path("/dev/shm"))
    free.append(100 * MIB)
    space.require(tmp_path)
    assert space.suspicion(-signal.SIGSEGV) == ""
    for left in (3, 90):
        free.append(left * MIB)
        space.look()
    text = space.suspicion(-signal.SIGSEGV)
    assert text.startswith(" Perhaps /dev/shm is too small: 3.0 of its 128 MiB were free. Give")
    for status in (1, -signal.SIGKILL, -signal.SIGTERM):
        assert space.suspicion(status) == "", "these have other causes"


def test_the_real_folder_has_room(tmp_path: Path) -> None:
    space = SharedMemory()
    space.require(repository(tmp_path))
    assert os.path.ismount("/dev/shm") and space.suspicion(0) == ""
