"""Reads chunks of the log and parses them to typed rows, joined with the side tables.

Chunks are read in order and parsed independently, in any thread. Plain text is parsed in one native
pass; everything else goes to `plumbline.rawlogs.general_parser`, which defines the results. For
plain text both give the same.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from plumbline.base.native import native, uses_native
from plumbline.columns.kinds import Kind
from plumbline.columns.rows import Rows
from plumbline.columns.value_rules.rules import LabelRule, ValueRules
from plumbline.columns.value_rules.text_values import BLANKS, click_numbers
from plumbline.columns.values import Text, Values
from plumbline.rawlogs.frames import series
from plumbline.rawlogs.general_parser import (
    GeneralParser,
    Parsed,
    RawChunk,
    columns_of,
    split_only_columns,
)
from plumbline.rawlogs.raw_rows import read_raw_rows, text_blocks
from plumbline.rawlogs.side_tables import LoadedTable, load_tables
from plumbline.rawlogs.splits.groups import group_of
from plumbline.rawlogs.text.blocks import TextBlock
from plumbline.rawlogs.text.plain_text import PlainText, plain_text
from plumbline.rawlogs.text.quoting import Dialect
from plumbline.settings import Config

NATIVE_KINDS = frozenset({"continuous", "integer", "hex", "boolean", "string", "label"})
"""The kinds that the native parser supports."""

_ASCII_COMPATIBLE = frozenset({"ascii", "iso8859-1", "iso8859-15", "cp1250", "cp1251", "cp1252"})


class RowParser:
    """Reads and parses the files of a log.

    Raises
    ------
    DataError
        A side table is not usable (see `plumbline.rawlogs.side_tables.load_table`).
    """

    def __init__(self, config: Config, files: Sequence[Path]) -> None:
        self.features = config.features
        self._config = config
        self._kinds = log_kinds(config)
        self._dialect = Dialect.of(config.log)
        self._label_column, self._group_column = config.label_column, config.group_column
        self._tables = load_tables(config, files)
        self._general = GeneralParser(config, self._kinds)
        is_native = uses_native() and set(self._kinds.values()) <= NATIVE_KINDS
        has_plain_rules = are_plain_rules(config.log.value_rules, config.label)
        is_trimmed_here = not config.log.trim or bool(self._dialect.blanks)
        self._is_mostly_plain = is_native and has_plain_rules and is_trimmed_here
        self._is_plain_dialect = self._dialect.is_plain

    @property
    def label_words(self) -> tuple[str, ...]:
        """Some of the label's values in the rows parsed, if clicks are words."""
        return tuple(sorted(self._general.label_words))

    def chunks(self, file: Path, block_bytes: int) -> Iterator[RawChunk]:
        """The file's chunks in order, the same each time.

        Raises
        ------
        DataError
            The file cannot be read, or lacks a declared column.
        """
        if self._config.log.format == "parquet":
            return read_raw_rows(file, self._config.log, tuple(self._kinds))
        return text_blocks(file, self._config.log, block_bytes)

    def parse(self, file: Path, chunk: RawChunk) -> Parsed:
        """Type and join a chunk.

        Raises
        ------
        DataError
            The type of a Parquet column does not fit its kind.
        """
        if self._is_mostly_plain and isinstance(chunk, TextBlock):
            plain = self._parse_plain(file, chunk)
            if plain is None:
                plain = self._general.parse_mixed(file, chunk, self._parse_plain)
            return self._joined(plain)
        return self._joined(self._general.parse(file, chunk))

    def _parse_plain(self, file: Path, block: TextBlock) -> Parsed | None:
        """None if anything in the block is not plain, such as a malformed line."""
        config = self._config
        text = self._plain_text(block)
        if text is None:
            return None
        kinds = {name: kind for name, kind in self._kinds.items() if name not in block.constants}
        columns = parse_lines(
            text.lines,
            text.separator,
            block.names,
            kinds,
            encoding=block.encoding or config.log.encoding,
            missing=config.log.missing,
            clicks=config.label.click,
        )
        if columns is None:
            return None
        rows = len(next(iter(columns.values())))
        if text.stand_ins:
            columns = {name: text.restored(values) for name, values in columns.items()}
        click: Any = columns.pop(self._label_column, None)
        if click is not None and config.label.click:
            self._general.sample_label_words(block)
        if block.constants:
            constants = self._general.constants(file, block, rows)
            if constants is None:
                return None
            columns |= constants.columns
            click = constants.click if click is None else click
        lines = rows if text.lines_are_rows else block.count_lines()
        return Parsed(Rows(columns, click), (), block.first - 1 + lines, {})

    def _plain_text(self, block: TextBlock) -> PlainText | None:
        """The block as plain lines for the native parser; None if it cannot be rewritten safely."""
        if self._is_plain_dialect and b"\r" not in block.text:
            return PlainText(block.text, self._config.log.separator)
        return plain_text(block.text, self._dialect)

    def _joined(self, parsed: Parsed) -> Parsed:
        """Add the side tables' columns, and put the features in order."""
        columns = parsed.rows.columns
        group = None if self._group_column is None else group_of(columns[self._group_column])
        unmatched = {table.name: self._join(columns, table) for table in self._tables}
        rows = Rows({name: columns[name] for name in self.features}, parsed.rows.click)
        return replace(parsed, rows=rows, unmatched=unmatched, group=group)

    def _join(self, columns: dict[str, Values], table: LoadedTable) -> int:
        """Add the table's columns; returns the number of rows whose key it does not have."""
        keys = pl.DataFrame({table.key: series(columns[table.key])})
        joined, unmatched = table.join(keys)
        columns.update(columns_of(joined, self._config.tables[table.name].features))
        return unmatched


def log_kinds(config: Config) -> dict[str, Kind]:
    """The log columns that are read; a time only if it orders the rows or is a feature."""
    wanted = {*config.log.read, config.label_column, config.time_column}
    read = {name: kind for name, kind in config.log.columns.items() if name in wanted}
    return read | dict.fromkeys(split_only_columns(config), "string")


def are_plain_rules(rules: ValueRules, label: LabelRule) -> bool:
    """Whether no missing value and no click is a number.

    A number matches every way to write it, which only the general parser does.
    """
    are_numbers = rules.missing_numbers or rules.missing_hexadecimals or click_numbers(label.click)
    if are_numbers or not rules.has_plain_numbers or label.at_least is not None:
        return False
    words = (*rules.missing, *label.click)
    return all(word.isprintable() and word == word.strip(BLANKS) for word in words)


def parse_lines(
    text: bytes | bytearray | memoryview,
    separator: str,
    names: Sequence[str],
    kinds: Mapping[str, Kind],
    encoding: str = "utf-8",
    missing: Sequence[str] = (),
    clicks: Sequence[str] = (),
) -> dict[str, Values] | None:
    r"""Parse whole lines, each with its `\n`; None if they need the general parser.

    Parameters
    ----------
    text
        The lines, without header or byte order mark.
    names
        The names of the fields, in the file's order.
    kinds
        Wanted column to its kind.
    encoding
        If it is not UTF-8, only ASCII text is parsed, and only in encodings that extend ASCII.
    missing, clicks
        The words for missing values; the label's words for a click, if it is not 0 and 1 or true
        and false. `are_plain_rules` must hold for both.

    Returns
    -------
    dict
        The wanted columns in the order of `kinds`: continuous float32 (B,), integer, hex and
        boolean int64 (B,), string `Text`, the label int8 (B,).

    Examples
    --------
    >>> parse_lines(b"1;x;0a\n0;;\n", ";", ["y", "s", "h"], {"h": "hex"})
    {'h': array([                  10, -9223372036854775808])}
    """
    codec = codecs.lookup(encoding).name
    is_utf8 = codec in ("utf-8", "utf-8-sig")
    if not uses_native() or not (is_utf8 or codec in _ASCII_COMPATIBLE):
        return None
    if not kinds or not set(kinds.values()) <= NATIVE_KINDS:
        return None
    if not separator.isascii():
        return None
    fields: list[str] = [kinds.get(name, "skip") for name in names]
    if clicks:
        fields = ["clicks" if field == "label" else field for field in fields]
    arrays = native.parse_lines(
        text, ord(separator), not is_utf8, fields, list(missing), list(clicks)
    )
    if arrays is None:
        return None
    found = {
        name: Text(*array) if isinstance(array, tuple) else array
        for name, array in zip(names, arrays, strict=True)
        if array is not None
    }
    return {name: found[name] for name in kinds}
