"""Sorts files into the parts of one log and side tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from plumbline.base.errors import DataError
from plumbline.rawlogs.inspect.column import Column, number
from plumbline.rawlogs.inspect.kinds import Guess
from plumbline.rawlogs.inspect.read import InspectedFile, inspect_file, names_of
from plumbline.rawlogs.sources import files_below, require_readable

_JOINS = ("integer", "hex", "string")
_COVERED = 0.5
"""Share of the log's rows whose key the table must have."""
_MOST_PARTS = 50


@dataclass(frozen=True, slots=True)
class Files:
    """The log's parts in order, and the other files."""

    log: tuple[Path, ...]
    others: tuple[Path, ...]
    folder: Path | None
    """The folder of the log, if one folder was given."""


@dataclass(frozen=True, slots=True)
class Joined:
    """A side table; its key column is unique and has the name of the log's column."""

    inspected: InspectedFile
    key: str
    own_key: str
    """The key's name in the file; without a header it is its position."""
    covered: float
    """Share of the log's sampled rows whose key the table has."""


def sort_files(paths: Sequence[Path]) -> Files:
    """Files with the columns of the first are parts of one log; the others may be tables.

    Raises
    ------
    DataError
        A path does not exist, or a folder holds no file.
    """
    folder = paths[0] if len(paths) == 1 and paths[0].is_dir() else None
    given = [file for path in paths for file in _files(path)]
    first, *further = given
    of_first = names_of(first)
    log, others = [first], []
    for position, file in enumerate(further):
        same = position >= _MOST_PARTS and folder is not None
        if same or names_of(file) == of_first:
            log.append(file)
        else:
            others.append(file)
    return Files(tuple(log), tuple(others), folder)


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        found = [file for file in files_below(path) if file.stat().st_size > 0]
        if not found:
            raise DataError(f"{path}: wanted a folder of log files, but all of them are empty.")
        return sorted(found, key=lambda file: -file.stat().st_size) if _differ(found) else found
    require_readable(path)
    return [path]


def _differ(files: Sequence[Path]) -> bool:
    """Whether a folder has files of several kinds: then the largest is the log."""
    return len({file.suffix for file in files}) > 1 or len({names_of(f) for f in files[:5]}) > 1


def find_table(
    file: Path, prefix: str, log: Mapping[str, Column], guesses: Mapping[str, Guess]
) -> Joined | str:
    """The table, joined to the log by its key; or the reason why it cannot be joined."""
    inspected = inspect_file(file, prefix)
    joins = {name: log[name] for name, guess in guesses.items() if guess.kind in _JOINS}
    unique = {
        n: c for n, c in inspected.columns.items() if c.missing == 0 and c.distinct_share == 1.0
    }
    if inspected.has_names:
        shared = [(name, name) for name in unique if name in joins]
    else:
        shared = [(name, own) for own in unique for name in joins]
    best: tuple[float, float, str, str] | None = None
    for name, own in shared:
        covered, common = _overlap(joins[name], unique[own])
        if covered >= _COVERED and (best is None or (common, covered) > best[:2]):
            best = common, covered, name, own
    if best is None:
        both = [name for name in inspected.columns if name in joins]
        if inspected.has_names and both:
            return f"its column {both[0]!r} has values twice, or few that the log has"
        wanted = (
            "with a value a row, that the log has too" if inspected.has_names else "of the log's"
        )
        return f"no column {wanted}: nothing to join on"
    _, covered, name, own = best
    return Joined(inspected, name, own, covered)


def _overlap(log: Column, table: Column) -> tuple[float, float]:
    """The share of the log's rows whose value the table has, and the share of common values."""
    if log.is_number != table.is_number:
        return 0.0, 0.0
    values, keys = log.present.cast(pl.String), table.present.cast(pl.String)
    covered = number(values.is_in(keys.implode()).mean())
    distinct = values.unique()
    common = int(distinct.is_in(keys.implode()).sum())
    return covered, common / max(len(distinct) + len(keys) - common, 1)
