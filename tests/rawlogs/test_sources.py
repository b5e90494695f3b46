from __future__ import annotations

import os
import re
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from plumbline.base.errors import DataError
from plumbline.rawlogs.inspect.tables import sort_files
from plumbline.rawlogs.sources import resolve_files
from plumbline.settings import Log


def log(*files: str) -> Log:
    return Log.model_validate({"columns": {"y": "label"}, "files": files})


def touch(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).write_text("content")


def test_files_of_a_folder_are_in_natural_order(tmp_path: Path) -> None:
    touch(tmp_path, "day_10", "day_2", "day_1", ".hidden")
    (tmp_path / "folder").mkdir()
    assert [file.name for file in resolve_files(log(), [tmp_path])] == ["day_1", "day_2", "day_10"]


def test_a_folder_gives_the_files_that_the_log_names(tmp_path: Path) -> None:
    touch(tmp_path, "a", "b", "c")
    assert resolve_files(log("c", "a"), [tmp_path]) == (tmp_path / "c", tmp_path / "a")


def test_files_keep_their_order(tmp_path: Path) -> None:
    touch(tmp_path, "a", "b")
    given = [tmp_path / "b", tmp_path / "a"]
    assert resolve_files(log("ignored"), given) == tuple(given)


def test_nothing_given() -> None:
    with pytest.raises(DataError, match=r"no --data was given.*folder that holds u\.data"):
        resolve_files(log("u.data"), [])


def test_missing_file_names_the_nearest(tmp_path: Path) -> None:
    touch(tmp_path, "train.txt")
    with pytest.raises(DataError, match=r"no such file.*did you mean 'train\.txt'"):
        resolve_files(log(), [tmp_path / "trian.txt"])


def test_missing_file_named_by_the_log(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"u\.data: wanted a log file, but there is no such file"):
        resolve_files(log("u.data"), [tmp_path])


def test_empty_file(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    with pytest.raises(DataError, match="empty: the file is empty"):
        resolve_files(log(), [tmp_path / "empty"])


def test_empty_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds no file"):
        resolve_files(log(), [tmp_path])


def test_two_folders(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"found a folder\. Give one folder, or"):
        resolve_files(log(), [tmp_path, tmp_path])


def test_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "a")

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(DataError, match="a: cannot be read: Permission denied"):
        resolve_files(log(), [tmp_path / "a"])


def bind(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(path))


def link_to_nothing(path: Path) -> None:
    path.symlink_to("nowhere")


def link_in_a_loop(path: Path) -> None:
    path.symlink_to("other")
    path.with_name("other").symlink_to(path.name)


def link_to_a_pipe(path: Path) -> None:
    os.mkfifo(path.with_name(".pipe"))
    path.symlink_to(".pipe")


def link_to_a_device(path: Path) -> None:
    path.symlink_to("/dev/zero")


NO_FILES = {
    os.mkfifo: "a pipe",
    bind: "a socket",
    link_to_a_pipe: "a pipe",
    link_to_a_device: "a device",
    link_to_nothing: "a link to nowhere, which does not exist",
    link_in_a_loop: "a link in a loop of links",
}


@pytest.mark.parametrize("make", NO_FILES)
@pytest.mark.parametrize("way", ["as a file", "in a folder", "below a folder"])
def test_what_is_no_file_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], None], way: str
) -> None:
    monkeypatch.chdir(tmp_path)  # the path of a socket is short
    folder = Path("data/day" if way == "below a folder" else "data")
    folder.mkdir(parents=True)
    touch(folder, "a.csv")
    make(folder / "b.csv")
    given = folder / "b.csv" if way == "as a file" else Path("data")
    found = re.escape(NO_FILES[make])
    with pytest.raises(DataError, match=rf"(b\.csv|other): wanted a log file, found {found}\. "):
        resolve_files(log(), [given])


@pytest.mark.parametrize("make", NO_FILES)
def test_init_names_what_is_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[Path], None]
) -> None:
    monkeypatch.chdir(tmp_path)
    make(Path("b.csv"))
    with pytest.raises(DataError, match=f"b.csv: wanted a log file, found {NO_FILES[make]}"):
        sort_files([Path("b.csv")])


def test_a_link_to_a_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    touch(tmp_path / "outside", "a.csv")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "b.csv").symlink_to(tmp_path / "outside" / "a.csv")
    assert resolve_files(log(), [tmp_path / "data"]) == (tmp_path / "data" / "b.csv",)


def test_a_link_to_a_folder_is_followed_once(tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    touch(tmp_path / "outside", "b.csv")
    (tmp_path / "outside" / "itself").symlink_to(tmp_path / "outside")
    (tmp_path / "outside" / "back").symlink_to(tmp_path / "data" / "day_1")
    (tmp_path / "data" / "day_1").mkdir(parents=True)
    touch(tmp_path / "data" / "day_1", "a.csv")
    (tmp_path / "data" / "day_2").symlink_to(tmp_path / "outside")
    (tmp_path / "data" / "latest").symlink_to("day_1")
    found = [str(file.relative_to(tmp_path)) for file in resolve_files(log(), [tmp_path / "data"])]
    assert found == ["data/day_1/a.csv", "data/day_2/b.csv"]


def test_a_link_to_a_folder_above_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "up").symlink_to(tmp_path)
    with pytest.raises(DataError, match="up: wanted a log file, found a link to a folder that hol"):
        resolve_files(log(), [tmp_path / "data"])


@pytest.mark.parametrize("name", ["iterdir", "stat"])
def test_a_folder_without_rights_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    (tmp_path / "data").mkdir()
    original = getattr(Path, name)

    def refuse(path: Path, *arguments: Any, **named: Any) -> Any:
        if path.name == "data":
            raise PermissionError(13, "Permission denied")
        return original(path, *arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(Path, name, refuse)
        with pytest.raises(DataError, match="data: cannot be read: Permission denied"):
            resolve_files(log(), [tmp_path / "data"])


@pytest.mark.parametrize("way", ["file", "folder"])
def test_a_name_that_is_not_utf_8_is_named(tmp_path: Path, way: str) -> None:
    file = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.csv"))
    file.write_text("content")
    with pytest.raises(DataError, match=r"csv: wanted a name in UTF-8"):
        resolve_files(log(), [file if way == "file" else tmp_path])
