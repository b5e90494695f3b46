"""Columns in the names of folders, `key=value`, as Hive and Spark write them."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote

MISSING = "__HIVE_DEFAULT_PARTITION__"
"""The folder's value if the column's value is missing."""


def partition_values(file: Path) -> dict[str, str | None]:
    """Key to value, as text, in the folders directly above the file.

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
    """The names of the `key=value` folders directly above the file, the outermost first."""
    names = []
    for folder in file.parents:
        key, mark, _ = folder.name.partition("=")
        if not (mark and key):
            break
        names.append(folder.name)
    return names[::-1]


def partition_root(file: Path) -> Path:
    """The folder above the `key=value` folders."""
    return file.parents[len(partition_folders(file))]
