from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from plumbline.base import files
from plumbline.base.errors import MachineError
from plumbline.base.files import read_small, remove, write_text


def link_to_a_device(path: Path) -> None:
    path.symlink_to("/dev/full")


@pytest.mark.parametrize("make", [os.mkfifo, Path.mkdir, link_to_a_device])
def test_what_is_no_file_is_not_replaced(tmp_path: Path, make: Callable[[Path], None]) -> None:
    file = tmp_path / "out.json"
    make(file)
    with pytest.raises(MachineError, match=r"out\.json: wanted a file to write"):
        write_text(file, "x")
    assert not file.is_file() and [entry.name for entry in tmp_path.iterdir()] == ["out.json"]


def test_a_write_that_fails_leaves_the_old_file_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path) -> None:
        raise OSError(28, "No space left on device")

    write_text(tmp_path / "a", "old")
    monkeypatch.setattr(files, "flush", full)
    with pytest.raises(OSError, match="No space"):
        write_text(tmp_path / "a", "new")
    assert [file.read_text() for file in tmp_path.iterdir()] == ["old"]


def test_a_removed_link_leaves_what_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "file").touch()
    (tmp_path / "link").symlink_to("folder")
    remove(tmp_path / "link")
    remove(tmp_path / "nothing")
    assert (tmp_path / "folder" / "file").exists() and not (tmp_path / "link").is_symlink()
    remove(tmp_path / "folder")
    assert not list(tmp_path.iterdir())


def test_a_file_that_people_write_has_an_end(tmp_path: Path) -> None:
    (tmp_path / "small").write_bytes(b"x")
    assert read_small(tmp_path / "small") == b"x"
    with pytest.raises(OSError, match="more than 16,777,216 bytes"):
        read_small(Path("/dev/zero"))
