"""Folders named `key=value`, as Hive and Spark write them: columns that the files do not hold."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

MISSING = "__HIVE_DEFAULT_PARTITION__"
"""The value's folder where it is missing."""


def partition_values(file: Path) -> dict[str, str | None]:
    """Key to value, as text, of the folders right above the file.

    >>> partition_values(Path("data/day=2024-01-01/city=K%C3%B6ln/part-0.csv"))
    {'day': '2024-01-01', 'city': 'Köln'}
    """
    found: dict[str, str | None] = {}
    for name in partition_folders(file):
        key, _, value = name.partition("=")
        text = unquote(value)
        found[unquote(key)] = None if text in (MISSING, "") else text
    return found


def partition_folders(file: Path) -> list[str]:
    """The names of the folders that are keys with values, the outermost first."""
    names = []
    for folder in file.parents:
        key, mark, _ = folder.name.partition("=")
        if not (mark and key):
            break
        names.append(folder.name)
    return names[::-1]


def partition_root(file: Path) -> Path:
    """The folder that holds those."""
    return file.parents[len(partition_folders(file))]
