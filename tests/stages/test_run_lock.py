"""One command at a time in the folder of a run."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from plumbline.base.errors import StageError
from plumbline.stages.run_lock import LOCK_FILE, run_lock

HOLD = """
import sys
from pathlib import Path
from plumbline.stages.run_lock import run_lock
with run_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def hold(folder: Path) -> subprocess.Popen[str]:
    """Another process that has the lock."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stdout.readline() == "held\n"
    return process


def test_the_second_is_told_who_works_there_and_a_kill_frees_the_folder(tmp_path: Path) -> None:
    holder = hold(tmp_path / "run")
    try:
        with pytest.raises(StageError) as error, run_lock(tmp_path / "run"):
            pass
        text = str(error.value)
        assert f"process {holder.pid} on " in text and "which began 20" in text
        assert f"{tmp_path / 'run'}: " in text and "another --out" in text
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.communicate()
    with run_lock(tmp_path / "run"):
        pass


def test_a_lock_is_free_again_after_the_block(tmp_path: Path) -> None:
    for _ in range(2):
        with (
            run_lock(tmp_path),
            pytest.raises(StageError, match="works in this folder"),
            run_lock(tmp_path),
        ):
            pass


@pytest.mark.parametrize("text", ["", "{", "[]", '{"pid": 1}'])
def test_a_lock_that_does_not_say_whose_it_is(tmp_path: Path, text: str) -> None:
    with run_lock(tmp_path):
        (tmp_path / LOCK_FILE).write_text(text)
        with pytest.raises(StageError, match="another process works"), run_lock(tmp_path):
            pass


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_system_without_locks_gets_a_warning(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    number: int,
) -> None:
    def no_locks(descriptor: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", no_locks)
    with run_lock(tmp_path):
        pass
    assert "warning" in capsys.readouterr().err


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES])
def test_a_folder_that_cannot_be_written_is_only_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def refuse(file: Path, flags: int, mode: int = 0) -> int:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        with run_lock(tmp_path):
            pass
    assert not list(tmp_path.iterdir())


def test_a_run_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("")
    with pytest.raises(StageError, match="wanted the folder of"), run_lock(tmp_path / "run"):
        pass


def test_files_that_no_run_has_made_are_not_emptied(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "day_0.csv").write_text("1,2\n")
    with pytest.raises(StageError, match="train: wanted no folder here"), run_lock(tmp_path):
        pass


def test_a_folder_whose_name_is_not_utf_8_is_named(tmp_path: Path) -> None:
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))
    with pytest.raises(StageError, match="wanted a name in UTF-8"), run_lock(folder):
        pass
    assert not list(tmp_path.iterdir())
