"""Which raw files a run reads."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from features.errors import DataError, nearest
from features.settings import Log


def resolve_files(log: Log, data: Sequence[Path]) -> tuple[Path, ...]:
    """The log's files, in reading order.

    `data` is one folder, or the files themselves in the order in which they are to be read. Of a
    folder `log.files` are taken, or every file in natural order: `day_2` before `day_10`.

    Raises
    ------
    DataError
        Nothing was given, or a file is missing, empty or not readable.
    """
    if not data:
        wanted = f" that holds {', '.join(log.files)}" if log.files else ""
        raise DataError(
            f"This configuration reads a log, and no --data was given. "
            f"Give --data with a folder{wanted}, or with the log's files."
        )
    is_folder = len(data) == 1 and data[0].is_dir()
    files = _of_folder(log, data[0]) if is_folder else tuple(data)
    for file in files:
        require_readable(file)
    return files


def require_readable(file: Path) -> None:
    """Raises DataError where the path is no file with content that this process may read."""
    if not file.exists():
        siblings = _names(file.parent) if file.parent.is_dir() else []
        hint = f" In its folder, {nearest(file.name, siblings)}." if siblings else ""
        raise DataError(f"{file}: wanted a log file, but there is no such file.{hint}")
    if not file.is_file():
        raise DataError(
            f"{file}: wanted a file, found a folder. Give one folder alone, or the log's files."
        )
    try:
        with file.open("rb") as stream:
            is_empty = not stream.read(1)
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror or error}.") from None
    if is_empty:
        raise DataError(f"{file}: the file is empty.")


def _of_folder(log: Log, folder: Path) -> tuple[Path, ...]:
    if log.files:
        return tuple(folder / name for name in log.files)
    names = _names(folder)
    if not names:
        raise DataError(f"{folder}: wanted a folder of log files, but it holds no file.")
    return tuple(folder / name for name in sorted(names, key=_natural))


def _names(folder: Path) -> list[str]:
    """Names of the folder's files; hidden ones are no logs."""
    try:
        return [
            entry.name
            for entry in folder.iterdir()
            if entry.is_file() and not entry.name.startswith(".")
        ]
    except OSError as error:
        raise DataError(f"{folder}: cannot be read: {error.strerror or error}.") from None


def _natural(name: str) -> list[tuple[int, str]]:
    """Numbers inside a name compare by value.

    >>> sorted(["day_10", "day_2"], key=_natural)
    ['day_2', 'day_10']
    """
    return [
        (int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)
    ]
