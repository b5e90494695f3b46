from __future__ import annotations

from pathlib import Path

import pytest

from plumbline.base.errors import DataError
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
