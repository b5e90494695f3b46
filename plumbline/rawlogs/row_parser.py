"""Pieces of the log, and how each becomes typed rows joined with the side tables.

Pieces are read one after the other, and parsed each on its own, from whichever thread.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

from plumbline.base.native import uses_native
from plumbline.columns.kinds import CLICK, READ_KINDS, Kind
from plumbline.columns.rows import Rows
from plumbline.columns.typed import values_of
from plumbline.columns.values import Values
from plumbline.rawlogs.blocks import RawBlock
from plumbline.rawlogs.frames import series
from plumbline.rawlogs.groups import group_of, with_text
from plumbline.rawlogs.malformed import Fault
from plumbline.rawlogs.native_parse import NATIVE_KINDS, are_plain_rules, parse_block
from plumbline.rawlogs.plain_text import plain_text
from plumbline.rawlogs.quoting import Dialect, row_ends
from plumbline.rawlogs.raw_rows import RawRows, TextBlock, parse_text, read_raw_rows, text_blocks
from plumbline.rawlogs.side_tables import LoadedTable, load_tables
from plumbline.rawlogs.values import TIME, convert
from plumbline.settings import Config

SHORT_BYTES = 256 << 10
"""A block of less than twice this goes the general way where any line of it is not plain; so does
one where such a line is among so many bytes at its start, and among as many at its end."""

_SAMPLE_BYTES = 64 << 10

_FEW_WORDS = 6

Piece: TypeAlias = TextBlock | RawRows
"""A block of a text file, or a batch of a Parquet file."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """A piece's usable rows and its faults."""

    rows: Rows
    faults: Sequence[Fault]
    """In text numbered as if the piece were the file's first, in Parquet as in the file."""
    lines: int
    """The lines of text that the piece spans, those of a header and blank ones counted."""
    unmatched: Mapping[str, int]
    """Side table to the rows whose key it does not have."""
    time: NDArray[np.float64] | None = None
    """(B,), where the split is by time."""
    group: NDArray[np.uint64] | None = None
    """(B,), where the split is by group: see `plumbline.rawlogs.groups.group_of`."""


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
        self._read_to_split = read_to_split(config)
        self._tables = load_tables(config, files)
        is_native = uses_native() and set(self._kinds.values()) <= NATIVE_KINDS
        is_plain = are_plain_rules(config.log.value_rules, config.label)
        is_trimmed_here = not config.log.trim or bool(self._dialect.blanks)
        self._mostly_plain = is_native and is_plain and is_trimmed_here
        self._label_words: set[str] = set()

    @property
    def label_words(self) -> tuple[str, ...]:
        """Some of the values that the label has in the rows parsed, where clicks are words."""
        return tuple(sorted(self._label_words))

    def pieces(self, file: Path, block_bytes: int) -> Iterator[Piece]:
        """The file's pieces in order, the same ones each time.

        Raises
        ------
        DataError
            The file cannot be read, or lacks a declared column.
        """
        if self._config.log.format == "parquet":
            return read_raw_rows(file, self._config.log, tuple(self._kinds))
        return text_blocks(file, self._config.log, block_bytes)

    def parse(self, file: Path, piece: Piece) -> Parsed:
        """Type and join a piece.

        Raises
        ------
        DataError
            A Parquet column of a type that its kind cannot take.
        """
        parts = list(self._parts(file, piece)) if isinstance(piece, TextBlock) else []
        parsed = _together(parts) if parts else self._parse_anything(file, piece)
        columns = parsed.rows.columns
        name = self._config.group_column
        group = None if name is None else group_of(columns[name])
        unmatched = {table.name: _join(columns, table, self._config) for table in self._tables}
        ordered = {name: columns[name] for name in self.features}
        rows = Rows(ordered, parsed.rows.click)
        return replace(parsed, rows=rows, unmatched=unmatched, group=group)

    def _parts(self, file: Path, block: TextBlock) -> Iterator[Parsed]:
        """The block's rows in one part, or where it is not plain, in parts that mostly are."""
        plain = self._parse_plainly(file, block)
        halves = self._halves(file, block) if plain is None and self._mostly_plain else None
        if plain is not None:
            yield plain
        elif halves is None:
            yield self._parse_anything(file, block)
        else:
            for half in halves:
                yield from self._parts(file, half)

    def _halves(self, file: Path, block: TextBlock) -> tuple[TextBlock, TextBlock] | None:
        """The block cut between two rows near its middle.

        None where it is short, or one row, or where neither start nor end of it is plain: it will
        hardly be better in between.
        """
        size = len(block.raw.text)
        if size < 2 * SHORT_BYTES:
            return None
        ends = row_ends(block.raw.text, self._dialect).ends
        first, middle, last = (
            _cut(ends, at) for at in (SHORT_BYTES, size // 2, size - SHORT_BYTES)
        )
        outer = (_part(block, 0, first), _part(block, last, size))
        if middle == 0 or all(self._parse_plainly(file, part) is None for part in outer):
            return None
        return _part(block, 0, middle), _part(block, middle, size)

    def _parse_plainly(self, file: Path, block: TextBlock) -> Parsed | None:
        """None where the block has anything that is not plain, as is every malformed line."""
        if not self._mostly_plain:
            return None
        log = self._config.log
        text = plain_text(block.raw.text, self._dialect)
        if text is None:
            return None
        encoding = block.encoding or log.encoding
        kinds = {name: kind for name, kind in self._kinds.items() if name not in block.constants}
        clicks = self._config.label.click
        found = parse_block(
            text.lines,
            text.separator,
            block.names,
            kinds,
            encoding=encoding,
            missing=log.missing,
            clicks=clicks,
        )
        constants = None if found is None else self._constants(file, block, found.rows)
        if found is None or constants is None:
            return None
        if found.click is not None and self._wants_label_words:
            sample = self._sample(block)
            self._note_label_words(parse_text(sample, 1, log, (self._config.label_column,)))
        columns = {name: text.restored(values) for name, values in found.columns.items()}
        click = constants.click if found.click is None else found.click
        lines = found.rows if text.lines_are_rows else block.raw.count_lines()
        rows = Rows({**columns, **constants.columns}, click)
        return Parsed(rows, (), block.first - 1 + lines, {})

    def _constants(self, file: Path, block: TextBlock, rows: int) -> Rows | None:
        """The columns that the folders above the file give; None where a value is refused."""
        kinds = {name: kind for name, kind in self._kinds.items() if name in block.constants}
        if not kinds:
            return Rows({}, np.zeros(rows, np.int8))
        values = {name: [block.constants[name]] for name in kinds}
        raw = RawRows(pl.DataFrame(values, dict.fromkeys(kinds, pl.String)), np.zeros(1, int), [])
        frame, faults = convert(file, raw, kinds, self._config.label, self._config.log)
        if faults:
            return None
        click = frame[CLICK].to_numpy() if CLICK in frame.columns else np.zeros(1, np.int8)
        names = [name for name in frame.columns if name != CLICK]
        return Rows(_columns(frame, names), click).take(np.zeros(rows, np.int64))

    def _parse_anything(self, file: Path, piece: Piece) -> Parsed:
        log = self._config.log
        if isinstance(piece, TextBlock):
            raw = parse_text(piece, piece.first, log, tuple(self._kinds))
            lines = piece.first - 1 + piece.raw.count_lines()
        else:
            raw, lines = self._with_group(file, piece), 0
        frame, faults = convert(file, raw, self._kinds, self._config.label, log)
        if self._wants_label_words:
            self._note_label_words(raw)
        kept = dict.fromkeys((*log.features, *self._read_to_split))
        rows = Rows(_columns(frame, kept), frame[CLICK].to_numpy())
        time = frame[TIME].to_numpy() if TIME in frame.columns else None
        return Parsed(rows, [*raw.faults, *faults], lines, {}, time)

    def _sample(self, block: TextBlock) -> TextBlock:
        """Some rows at the start of the block."""
        text = block.raw.text
        start = text[: text.rfind(b"\n", 0, _SAMPLE_BYTES) + 1]
        ends = row_ends(start, self._dialect, is_all=False).ends
        return _part(block, 0, _cut(ends, len(start)))

    @property
    def _wants_label_words(self) -> bool:
        return bool(self._config.label.click) and len(self._label_words) < _FEW_WORDS

    def _note_label_words(self, rows: RawRows) -> None:
        values = rows.columns[self._config.label_column].drop_nulls().unique().head(_FEW_WORDS)
        self._label_words.update(map(str, values.to_list()))

    def _with_group(self, file: Path, rows: RawRows) -> RawRows:
        """The rows of a Parquet file; a column that is read for the split alone is text in them."""
        columns = rows.columns
        for name in self._read_to_split:
            columns = with_text(file, columns, name)
        return replace(rows, columns=columns)


def _cut(ends: NDArray[np.int64], place: int) -> int:
    """Behind the last of the rows' ends before a place."""
    before = int(np.searchsorted(ends, place))
    return int(ends[before - 1]) + 1 if before > 0 else 0


def _part(block: TextBlock, start: int, end: int) -> TextBlock:
    raw = RawBlock(block.raw.text[start:end], block.raw.start + start)
    return replace(block, raw=raw, first=1 if start else block.first)


def _together(parts: Sequence[Parsed]) -> Parsed:
    """The parts of a piece as one."""
    if len(parts) == 1:
        return parts[0]
    faults: list[Fault] = []
    lines = 0
    for part in parts:
        faults += [fault.further(lines) for fault in part.faults]
        lines += part.lines
    return Parsed(Rows.concat([part.rows for part in parts]), faults, lines, {})


def log_kinds(config: Config) -> dict[str, Kind]:
    """The log columns that are read; the time only where it orders the rows."""
    kinds = (*READ_KINDS, "label", *(("time",) if config.split.by == "time" else ()))
    read = {name: config.log.columns[name] for name in config.log.names(*kinds)}
    return read | dict.fromkeys(read_to_split(config), "string")


def read_to_split(config: Config) -> tuple[str, ...]:
    """The column of kind unused by whose text the rows are split, where there is one."""
    name = config.group_column
    return () if name is None or config.log.columns[name] != "unused" else (name,)


def _join(columns: dict[str, Values], table: LoadedTable, config: Config) -> int:
    """Add the table's columns; gives the number of rows whose key it does not have."""
    keys = pl.DataFrame({table.key: series(columns[table.key])})
    joined, unmatched = table.join(keys)
    columns.update(_columns(joined, config.tables[table.name].features))
    return unmatched


def _columns(frame: pl.DataFrame, names: Iterable[str]) -> dict[str, Values]:
    table = frame.to_arrow()
    return {name: values_of(table[name]) for name in names}
