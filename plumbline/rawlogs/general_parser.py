"""The general parser: chunks of a log to typed rows, for every kind, dialect and fault.

It defines the results. `plumbline.rawlogs.row_parser` parses plain text faster, with the same
results, and leaves the rest to it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
import polars as pl
from numpy.typing import NDArray

from plumbline.columns.kinds import CLICK, Kind
from plumbline.columns.rows import Rows
from plumbline.columns.typed import values_of
from plumbline.columns.values import Values
from plumbline.rawlogs.convert import TIME, convert
from plumbline.rawlogs.malformed import Fault
from plumbline.rawlogs.raw_rows import RawRows, parse_text
from plumbline.rawlogs.splits.groups import with_text
from plumbline.rawlogs.text.blocks import TextBlock
from plumbline.rawlogs.text.quoting import Dialect, row_ends
from plumbline.settings import Config

SHORT_BYTES = 256 << 10
"""A block that is not plain is cut into halves, unless it has less than twice as many bytes, or
neither its first nor its last `SHORT_BYTES` bytes are plain."""

_SAMPLE_BYTES = 64 << 10

_FEW_WORDS = 6

RawChunk: TypeAlias = TextBlock | RawRows
"""A block of a text file, or a batch of a Parquet file."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """A chunk's usable rows and its faults."""

    rows: Rows
    faults: Sequence[Fault]
    """Line numbers in text count from the start of the chunk, row numbers in Parquet from that of
    the file."""
    lines: int
    """The chunk's lines of text, with the header and blank lines."""
    unmatched: Mapping[str, int]
    """Side table to the number of rows whose key it does not have."""
    time: NDArray[np.float64] | None = None
    """(B,), if the split is by time."""
    group: NDArray[np.uint64] | None = None
    """(B,), if the split is by group: see `plumbline.rawlogs.splits.groups.group_of`."""


ParsePlain: TypeAlias = Callable[[Path, TextBlock], Parsed | None]
"""Parses plain text; None if it is not plain."""


class GeneralParser:
    """Types the columns of `kinds`, which are the ones read from the log."""

    def __init__(self, config: Config, kinds: Mapping[str, Kind]) -> None:
        self._config = config
        self._kinds = kinds
        self._dialect = Dialect.of(config.log)
        self._split_only_columns = split_only_columns(config)
        self.label_words: set[str] = set()
        """Some of the label's values in the rows parsed, if clicks are words."""

    def parse(self, file: Path, chunk: RawChunk) -> Parsed:
        """Raises DataError for a Parquet column whose type does not fit its kind."""
        log = self._config.log
        if isinstance(chunk, TextBlock):
            raw = parse_text(chunk, chunk.first, log, tuple(self._kinds))
            lines = chunk.first - 1 + chunk.count_lines()
        else:
            raw, lines = self._with_group(file, chunk), 0
        frame, faults = convert(
            file, raw, self._kinds, self._config.label, log, self._config.time_column
        )
        self._note_label_words(raw)
        kept = dict.fromkeys((*log.features, *self._split_only_columns))
        rows = Rows(columns_of(frame, kept), frame[CLICK].to_numpy())
        time = frame[TIME].to_numpy() if TIME in frame.columns else None
        return Parsed(rows, [*raw.faults, *faults], lines, {}, time)

    def parse_mixed(self, file: Path, block: TextBlock, parse_plain: ParsePlain) -> Parsed:
        """Parse a block that is not plain in parts, most of which are plain."""
        parts = list(self._parts(file, block, parse_plain))
        if len(parts) == 1:
            return parts[0]
        faults: list[Fault] = []
        lines = 0
        for part in parts:
            faults += [fault.further(lines) for fault in part.faults]
            lines += part.lines
        return Parsed(Rows.concat([part.rows for part in parts]), faults, lines, {})

    def _parts(self, file: Path, block: TextBlock, parse_plain: ParsePlain) -> Iterator[Parsed]:
        halves = self._halves(file, block, parse_plain)
        if not halves:
            yield self.parse(file, block)
        for half in halves:
            plain = parse_plain(file, half)
            if plain is None:
                yield from self._parts(file, half, parse_plain)
            else:
                yield plain

    def _halves(self, file: Path, block: TextBlock, parse_plain: ParsePlain) -> list[TextBlock]:
        """The block, cut between two rows near its middle.

        Empty if the block is short or one row, or if neither its start nor its end is plain: then
        its middle is hardly plain either.
        """
        size = len(block.text)
        if size < 2 * SHORT_BYTES:
            return []
        ends = row_ends(block.text, self._dialect).ends
        first, middle, last = (
            _cut(ends, at) for at in (SHORT_BYTES, size // 2, size - SHORT_BYTES)
        )
        outer = (block.part(0, first), block.part(last, size))
        if middle == 0 or all(parse_plain(file, part) is None for part in outer):
            return []
        return [block.part(0, middle), block.part(middle, size)]

    def constants(self, file: Path, block: TextBlock, rows: int) -> Rows | None:
        """`rows` rows of the values in the file's `key=value` folders; None if one is malformed."""
        kinds = {name: kind for name, kind in self._kinds.items() if name in block.constants}
        values = {name: [block.constants[name]] for name in kinds}
        raw = RawRows(pl.DataFrame(values, dict.fromkeys(kinds, pl.String)), np.zeros(1, int), [])
        frame, faults = convert(file, raw, kinds, self._config.label, self._config.log)
        if faults:
            return None
        click = frame[CLICK].to_numpy() if CLICK in frame.columns else np.zeros(1, np.int8)
        names = [name for name in frame.columns if name != CLICK]
        return Rows(columns_of(frame, names), click).take(np.zeros(rows, np.int64))

    def sample_label_words(self, block: TextBlock) -> None:
        """Add some values of the label from the start of the block to `label_words`."""
        if len(self.label_words) >= _FEW_WORDS:
            return
        start = block.text[: block.text.rfind(b"\n", 0, _SAMPLE_BYTES) + 1]
        ends = row_ends(start, self._dialect, is_all=False).ends
        sample = block.part(0, _cut(ends, len(start)))
        name = self._config.label_column
        self._note_label_words(parse_text(sample, 1, self._config.log, (name,)))

    def _note_label_words(self, rows: RawRows) -> None:
        if self._config.label.click and len(self.label_words) < _FEW_WORDS:
            values = rows.columns[self._config.label_column].drop_nulls().unique().head(_FEW_WORDS)
            self.label_words.update(map(str, values.to_list()))

    def _with_group(self, file: Path, rows: RawRows) -> RawRows:
        """Rows of a Parquet file; a column that is read only for the split becomes text."""
        columns = rows.columns
        for name in self._split_only_columns:
            columns = with_text(file, columns, name)
        return replace(rows, columns=columns)


def split_only_columns(config: Config) -> tuple[str, ...]:
    """The column that is read only for a split by group: its kind is unused. At most one."""
    name = config.group_column
    return () if name is None or config.log.columns[name] != "unused" else (name,)


def columns_of(frame: pl.DataFrame, names: Iterable[str]) -> dict[str, Values]:
    """Columns of a typed frame as values."""
    table = frame.to_arrow()
    return {name: values_of(table[name]) for name in names}


def _cut(ends: NDArray[np.int64], position: int) -> int:
    """The end of the last row that ends before `position`, past its newline."""
    before = int(np.searchsorted(ends, position))
    return int(ends[before - 1]) + 1 if before > 0 else 0
