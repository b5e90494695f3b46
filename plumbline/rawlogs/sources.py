"""Finds the raw files that a run reads."""

from __future__ import annotations

import errno
import re
import stat
from collections.abc import Iterator, Sequence
from pathlib import Path

from plumbline.base.errors import DataError, nearest
from plumbline.base.file_names import is_utf8
from plumbline.base.printable import sentence
from plumbline.settings import Log

_MARKERS = ("schema.pbtxt", "metadata.json", "Thumbs.db", "desktop.ini")
_MARKER_SUFFIX = ".crc"

FILE, FOLDER = "a file", "a folder"
_KINDS = {
    stat.S_IFREG: FILE,
    stat.S_IFDIR: FOLDER,
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def resolve_files(log: Log, data: Sequence[Path]) -> tuple[Path, ...]:
    """The log's files, in reading order.

    `data` is one folder, or the files themselves in reading order. A folder gives `log.files`, or
    every file in it and its subfolders, in natural order: `day_2` before `day_10`. Names that begin
    with `_` or `.` are skipped, and so are marker files of other tools. Empty files are kept: they
    are parts without rows.

    Raises
    ------
    DataError
        Nothing was given, a file is missing or not readable, or all are empty.
    """
    if not data:
        wanted = f" that holds {', '.join(log.files)}" if log.files else ""
        raise DataError(
            f"This configuration reads a log, and no --data was given. "
            f"Give --data with a folder{wanted}, or with the log's files."
        )
    is_folder = len(data) == 1 and _kind(data[0]) == FOLDER
    files = _of_folder(log, data[0]) if is_folder else tuple(data)
    for file in files:
        require_readable(file)
    if all(_is_empty(file) for file in files):
        raise _is_without_content(files[0])
    return files


def require_readable(file: Path) -> None:
    """Raises DataError if the path is not a file that this process can read."""
    if not is_utf8(file):
        raise DataError(f"{file}: wanted a name in UTF-8, found other bytes. Rename it.")
    found = _kind(file)
    if found is None:
        siblings = [found.name for found in _entries(file.parent)] if file.parent.is_dir() else []
        hint = f" In its folder, {sentence(nearest(file.name, siblings))}" if siblings else ""
        raise DataError(f"{file}: wanted a log file, but there is no such file.{hint}")
    if found == FOLDER:
        raise DataError(
            f"{file}: wanted a file, found a folder. Give one folder, or the log's files."
        )
    if found != FILE:
        raise _is_no_file(file, found)
    try:
        with file.open("rb") as stream:
            stream.read(1)
    except OSError as error:
        raise _is_unreadable(file, error) from None


def require_filled(file: Path) -> None:
    """Raises DataError if the path is not a readable file, or the file is empty."""
    require_readable(file)
    if _is_empty(file):
        raise _is_without_content(file)


def _is_without_content(file: Path) -> DataError:
    return DataError(f"{file}: the file is empty.")


def _is_empty(file: Path) -> bool:
    return file.stat().st_size == 0


def _of_folder(log: Log, folder: Path) -> tuple[Path, ...]:
    if log.files:
        return tuple(folder / name for name in log.files)
    return tuple(files_below(folder))


def files_below(folder: Path) -> list[Path]:
    """The log files in the folder and its subfolders, in natural order.

    A link to a folder is followed, unless it leads into `folder`, where its files are anyway.

    Raises
    ------
    DataError
        There are none; or there is something else, such as a pipe or a link to nothing.
    """
    found = sorted(
        _below(folder, (folder.resolve(),)),
        key=lambda file: natural_path(file.relative_to(folder)),
    )
    if not found:
        raise DataError(f"{folder}: wanted a folder of log files, but it holds no file.")
    return found


def _below(folder: Path, roots: tuple[Path, ...]) -> Iterator[Path]:
    """The log files in the folder and its subfolders; `roots` are the folders being read."""
    for entry in _entries(folder):
        found = _kind(entry)
        if found == FILE:
            yield entry
        elif found != FOLDER:
            raise _is_no_file(entry, found or "nothing")
        elif not entry.is_symlink():
            yield from _below(entry, roots)
        elif not any((target := entry.resolve()).is_relative_to(root) for root in roots):
            if any(root.is_relative_to(target) for root in roots):
                raise _is_no_file(entry, "a link to a folder that holds this one")
            yield from _below(entry, (*roots, target))


def _kind(path: Path) -> str | None:
    """What is at the end of the path, links followed; None if there is nothing.

    Raises
    ------
    DataError
        It is a link that leads nowhere, or this process may not look.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        if path.is_symlink():
            raise _is_no_file(path, f"a link to {path.readlink()}, which does not exist") from None
        return None
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise _is_no_file(path, "a link in a loop of links") from None
        raise _is_unreadable(path, error) from None
    return _KINDS.get(stat.S_IFMT(mode), "something else")


def _is_no_file(path: Path, found: str) -> DataError:
    return DataError(
        f"{path}: wanted a log file, found {found}. A log is read several times, from files: write "
        "it into one, or remove this."
    )


def _is_unreadable(path: Path, error: OSError) -> DataError:
    return DataError(f"{path}: cannot be read: {error.strerror or error}.")


def _entries(folder: Path) -> list[Path]:
    """The folder's entries, without markers and hidden files."""
    try:
        return [entry for entry in folder.iterdir() if not is_marker(entry.name)]
    except OSError as error:
        raise _is_unreadable(folder, error) from None


def is_marker(name: str) -> bool:
    """Whether a name is of a marker file of another tool, or hidden."""
    return name.startswith(("_", ".")) or name.endswith(_MARKER_SUFFIX) or name in _MARKERS


def natural_path(path: Path) -> list[list[tuple[int, str]]]:
    """A key that sorts paths in natural order: see `_natural`."""
    return [_natural(part) for part in path.parts]


def _natural(name: str) -> list[tuple[int, str]]:
    """Numbers inside a name compare by value.

    >>> sorted(["day_10", "day_2"], key=_natural)
    ['day_2', 'day_10']
    """
    return [
        (int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)
    ]
