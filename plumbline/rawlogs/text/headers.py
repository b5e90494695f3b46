"""Checks the names of a file's columns; the errors suggest a setting."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from plumbline.base.errors import DataError, nearest
from plumbline.base.printable import printable, sentence
from plumbline.settings import Log, Table

_SEPARATORS = (",", ";", "\t", "|", "::", "\x01", ":", " ")
_QUOTES = ('"', "'", "`")
_SHOWN_NAMES = 8
_SHOWN_CHARACTERS = 40


def require_columns(file: Path, table: Table, names: Sequence[str], line: str = "") -> None:
    """Raises DataError if a column that the table declares is missing or is there twice.

    `line` is the header of a text file.
    """
    counts = Counter(names)
    for column in table.columns:
        if column not in counts:
            hint = _hint(table, column, names, line)
            message = f"{file}: no column {shortened(column)!r} among {listed(names)}{hint}"
            raise DataError(sentence(message))
        if counts[column] > 1:
            raise DataError(f"{file}: the header names column {shortened(column)!r} twice.")


def misquoted(file: Path, table: Table, line: str, number: int, reason: str) -> DataError:
    """The error of a header with a misplaced quote; another separator may explain it."""
    column = next(iter(table.columns))
    hint = _another_separator(table, column, line, 2)
    return DataError(f"{file}:{number}: the header has {reason}: {shortened(line)}{hint}.")


def require_separator(file: Path, table: Table, fields: Sequence[str], line: str) -> None:
    """Raises DataError if a file without a header clearly has another separator."""
    wanted = len(table.columns)
    if len(fields) > 1 or wanted == 1:
        return
    for separator in _SEPARATORS:
        if separator != table.separator and len(line.split(separator)) == wanted:
            raise DataError(
                f"{file}: wanted {wanted} fields a line, found 1, and {separator!r} would separate "
                f"{wanted}: set {setting(table, 'separator')}: {separator!r}."
            )


def listed(names: Sequence[str]) -> str:
    """The first names, and the number of further ones."""
    shown = ", ".join(shortened(name) for name in names[:_SHOWN_NAMES])
    more = len(names) - _SHOWN_NAMES
    return f"{shown} and {more} more" if more > 0 else shown


def shortened(text: str) -> str:
    """The beginning of a text; characters that cannot be printed become escapes.

    >>> shortened("y" + chr(0)), shortened("column" * 10)
    ('y\\\\x00', 'columncolumncolumncolumncolumncolumncolu…')
    """
    shown = printable(text[:_SHOWN_CHARACTERS])
    return shown if len(text) <= _SHOWN_CHARACTERS else f"{shown}…"


def setting(table: Table, key: str) -> str:
    """The setting's name in the configuration."""
    return f"log.{key}" if isinstance(table, Log) else f"the table's {key}"


def _hint(table: Table, column: str, names: Sequence[str], line: str) -> str:
    """The setting to change, if it is clear; else the nearest name."""
    if table.format == "csv":
        for quote in _QUOTES:
            if table.quote is None and f"{quote}{column}{quote}" in {n.strip() for n in names}:
                wanted = "'\"'" if quote == '"' else f'"{quote}"'
                return f"; the names are in quotes: set {setting(table, 'quote')}: {wanted}"
        if not table.trim and column in {name.strip(" \t") for name in names}:
            return f"; the names have blanks around them: set {setting(table, 'trim')}: true"
        if found := _another_separator(table, column, line, len(names)):
            return found
    hint = nearest(column, [shortened(name) for name in names])
    if hint.startswith("did you mean"):
        return f"; {hint}"
    if table.format == "csv" and len(names) == len(table.columns) and _are_values(table, names):
        return f"; if the first line is a row, set {setting(table, 'header')}: false"
    return ""


def _another_separator(table: Table, column: str, line: str, least: int) -> str:
    """The setting, if another separator gives at least `least` names, one of them the column's."""
    for separator in _SEPARATORS:
        names = [name.strip(" \t\"'`") for name in line.split(separator)]
        if separator != table.separator and len(names) >= least and column in names:
            return (
                f"; {separator!r} would separate {len(names)}: "
                f"set {setting(table, 'separator')}: {separator!r}"
            )
    return ""


def separator_of(line: str, wanted: Sequence[str]) -> str | None:
    """The separator of a line that has the wanted names."""
    for separator in _SEPARATORS:
        names = {name.strip(" \t\"'`") for name in line.split(separator)}
        if names >= {*wanted}:
            return separator
    return None


def _are_values(table: Table, names: Sequence[str]) -> bool:
    """Whether the header looks like a row: none of the names is a column, and one is a number."""
    return not {*names} & {*table.columns} and any(name.lstrip("-")[:1].isdigit() for name in names)
