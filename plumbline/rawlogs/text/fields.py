"""Splits the rows of a block into fields, all rows at once."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import polars as pl
import pyarrow as pa
from numpy.typing import NDArray

from plumbline.rawlogs.malformed import Fault
from plumbline.rawlogs.text.quoting import (
    CARRIAGE_RETURN,
    NEWLINE,
    UNCLOSED,
    Dialect,
    QuoteFault,
    is_one_of,
    positions_of,
    row_ends,
)

_SHARE_OF_ROWS = 0.9
"""Lines after an unclosed quote count as rows if at least this share of them are valid rows."""


@dataclass(frozen=True, slots=True)
class TextRows:
    """Rows of a block of text; none is blank, some may be malformed.

    starts, ends: int64 (R,), a row is `text[start:end]`, without its line end. numbers: int64 (R,),
    the 1-based number of each row's first line in the file. faults: row to the fault of its quotes.
    """

    text: bytes | bytearray
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    numbers: NDArray[np.int64]
    faults: dict[int, QuoteFault]

    @classmethod
    def of(cls, text: bytes | bytearray, first: int, dialect: Dialect) -> TextRows:
        r"""The rows of whole lines; `first` is the number of the first line.

        The last byte is a newline; a line may end in `\r\n`.
        """
        found = row_ends(text, dialect)
        ends = found.ends
        starts = np.zeros(len(ends), np.int64)
        starts[1:] = ends[:-1] + 1
        if dialect.has_quotes(text):
            numbers = first + np.searchsorted(positions_of(text, NEWLINE), starts)
        else:
            numbers = np.arange(first, first + len(ends), dtype=np.int64)
        if b"\r" in text:
            raw = np.frombuffer(text, np.uint8)
            ends = ends - ((raw[np.maximum(ends - 1, 0)] == CARRIAGE_RETURN) & (ends > starts))
        rows = cls(text, starts, ends, numbers, found.faults)
        return rows.keep(starts < ends)

    def __len__(self) -> int:
        return len(self.starts)

    def keep(self, kept: NDArray[np.bool_]) -> TextRows:
        """The rows where `kept`, bool (R,), is true."""
        if kept.all():
            return self
        position = np.cumsum(kept) - 1
        return TextRows(
            self.text,
            self.starts[kept],
            self.ends[kept],
            self.numbers[kept],
            {int(position[row]): fault for row, fault in self.faults.items() if kept[row]},
        )

    def count(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """The number of `positions`, which ascend, in each row."""
        counts: NDArray[np.int64] = np.searchsorted(positions, self.ends)
        return counts - np.searchsorted(positions, self.starts)


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of rows with the same number of fields, `count`.

    separators: int64, the positions of separators in the marked text; `separators[first[row]]` is
    the first one of a row.
    """

    rows: TextRows
    dialect: Dialect
    separators: NDArray[np.int64]
    first: NDArray[np.int64]
    count: int

    def column(self, position: int) -> pl.Series:
        """The texts of one field; an empty one is null."""
        starts, ends = self._bounds(position)
        text, quote = np.frombuffer(self.rows.text, np.uint8), self.dialect.quote
        if len(starts) == 0:
            return pl.Series([], dtype=pl.String)
        if self.dialect.blanks:
            starts, ends = _without_blanks(text, starts, ends, self.dialect.blanks)
        doubled = None
        if quote is not None:
            quoted = (starts < ends) & (text[np.minimum(starts, len(text) - 1)] == quote)
            starts, ends = starts + quoted, ends - quoted
            doubled = quoted & _any_between(positions_of(self.rows.text, quote), starts, ends)
        texts = _texts(self.rows.text, starts, ends)
        if quote is None or doubled is None or not doubled.any():
            return texts
        single = texts.filter(doubled).str.replace_all(chr(quote) * 2, chr(quote), literal=True)
        return texts.scatter(np.flatnonzero(doubled), single)

    def _bounds(self, position: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        starts, ends = self.rows.starts, self.rows.ends
        if position > 0:
            starts = self.separators[self.first + position - 1] + 1
        if position < self.count - 1:
            ends = self.separators[self.first + position] + 1 - len(self.dialect.separator)
        return starts, ends


def split_fields(rows: TextRows, fields: int, dialect: Dialect, faults: list[Fault]) -> Fields:
    """The rows that have `fields` fields; the others become faults.

    A malformed row over several lines may have an unclosed quote. If most of its further lines are
    valid rows, they count as rows.
    """
    checked = _CheckedRows.of(rows, fields, dialect)
    if dialect.has_quotes(rows.text) and fields > 1 and not checked.good.all():
        rows = _resynchronized(checked, fields, dialect)
        checked = _CheckedRows.of(rows, fields, dialect)
    faults += checked.faults(dialect)
    good = checked.good
    return Fields(rows.keep(good), dialect, checked.separators, checked.first[good], fields)


def field_texts(rows: TextRows, dialect: Dialect) -> list[str]:
    """The fields of a single row."""
    (count,) = _CheckedRows.of(rows, 0, dialect).counts.tolist()
    fields = split_fields(rows, count, dialect, [])
    columns = (fields.column(position) for position in range(count))
    return [text or "" for column in columns for text in column.to_list()]


@dataclass(frozen=True, slots=True)
class _CheckedRows:
    """Rows, and which of them are good.

    counts: int64 (R,), the number of fields. has_return: bool (R,), whether the row has a carriage
    return.
    """

    rows: TextRows
    fields: int
    separators: NDArray[np.int64]
    first: NDArray[np.int64]
    counts: NDArray[np.int64]
    has_return: NDArray[np.bool_]
    good: NDArray[np.bool_]

    @classmethod
    def of(cls, rows: TextRows, fields: int, dialect: Dialect) -> _CheckedRows:
        marked = dialect.marked(rows.text)
        quoted = _QuotedSpans.of(rows, dialect)
        separators = quoted.outside(positions_of(marked, dialect.mark[-1]))
        first = np.searchsorted(separators, rows.starts)
        counts = np.searchsorted(separators, rows.ends) - first + 1
        has_return = np.zeros(len(rows), bool)
        if b"\r" in rows.text:
            returns = quoted.outside(positions_of(rows.text, CARRIAGE_RETURN))
            has_return = rows.count(returns) > 0
        good = (counts == fields) & ~has_return
        good[list(rows.faults)] = False
        return cls(rows, fields, separators, first, counts, has_return, good)

    def faults(self, dialect: Dialect) -> list[Fault]:
        return [self._fault(int(row), dialect) for row in np.flatnonzero(~self.good)]

    def _fault(self, row: int, dialect: Dialect) -> Fault:
        rows, number = self.rows, int(self.rows.numbers[row])
        start = int(rows.starts[row])
        fault = rows.faults.get(row)
        if fault is not None:
            return Fault(number + rows.text.count(b"\n", start, fault.position), fault.reason)
        if self.has_return[row]:
            return Fault(number, "a carriage return inside the line", "use one kind of line end")
        reason = f"wanted {_plural(self.fields, 'field')}, found {self.counts[row]}"
        lines = rows.text.count(b"\n", start, int(rows.ends[row])) + 1
        if lines > 1:
            reason += f" in a row of {lines} lines"
        quotes = rows.text.count(b'"', start, int(rows.ends[row]))
        is_quoted = dialect.quote is None and quotes > 1
        advice = "log.quote: '\"' takes separators between quotes" if is_quoted else ""
        return Fault(number, reason, advice)


class _QuotedSpans:
    """The quoted fields of a text."""

    def __init__(self, quotes: NDArray[np.int64]) -> None:
        self._quotes = quotes

    @classmethod
    def of(cls, rows: TextRows, dialect: Dialect) -> _QuotedSpans:
        """Uses the rows without a fault: each of them has an even number of quotes."""
        if dialect.quote is None or not dialect.has_quotes(rows.text):
            return cls(np.empty(0, np.int64))
        quotes = positions_of(rows.text, dialect.quote)
        row = np.searchsorted(rows.starts, quotes, side="right") - 1
        bad = np.zeros(len(rows) + 1, bool)  # the last one stands for what is before all rows
        bad[[*rows.faults, -1]] = True
        outside = bad[row]
        outside |= quotes >= np.append(rows.ends, 0)[row]
        return cls(quotes[~outside])

    def outside(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """The positions that are not inside quotes."""
        if len(self._quotes) == 0:
            return positions
        is_outside: NDArray[np.bool_] = np.searchsorted(self._quotes, positions) % 2 == 0
        return positions[is_outside]


def _resynchronized(checked: _CheckedRows, fields: int, dialect: Dialect) -> TextRows:
    """Split each malformed row whose further lines are valid rows."""
    rows = checked.rows
    parts: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]] = []
    faults: dict[int, QuoteFault] = {}
    done, more = 0, 0
    for row in np.flatnonzero(~checked.good).tolist():
        newline = rows.text.find(b"\n", int(rows.starts[row]), int(rows.ends[row]))
        after = None
        if newline >= 0 and not checked.has_return[row]:
            after = _rows_after(rows, row, newline, fields, dialect)
        if after is None:
            if row in rows.faults:
                faults[row + more] = rows.faults[row]
            continue
        parts.append((rows.starts[done:row], rows.ends[done:row], rows.numbers[done:row]))
        parts.append((rows.starts[row : row + 1], np.array([newline]), rows.numbers[row : row + 1]))
        parts.append((after.starts, after.ends, after.numbers))
        faults[row + more] = QuoteFault(UNCLOSED, int(rows.starts[row]))
        faults.update(
            {row + more + 1 + position: fault for position, fault in after.faults.items()}
        )
        done, more = row + 1, more + len(after)
    parts.append((rows.starts[done:], rows.ends[done:], rows.numbers[done:]))
    starts, ends, numbers = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return TextRows(rows.text, starts, ends, numbers, faults)


def _rows_after(
    rows: TextRows, row: int, newline: int, fields: int, dialect: Dialect
) -> TextRows | None:
    """The lines of a row after its first newline as rows; None if too few of them are valid."""
    text = rows.text[newline + 1 : int(rows.ends[row])] + b"\n"
    found = TextRows.of(text, int(rows.numbers[row]) + 1, dialect)
    good = _CheckedRows.of(found, fields, dialect).good
    if len(good) == 0 or np.mean(good) < _SHARE_OF_ROWS:
        return None
    by = newline + 1
    faults = {
        position: replace(fault, position=fault.position + by)
        for position, fault in found.faults.items()
    }
    return replace(found, starts=found.starts + by, ends=found.ends + by, faults=faults)


def _without_blanks(
    text: NDArray[np.uint8], starts: NDArray[np.int64], ends: NDArray[np.int64], blanks: bytes
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    others = np.flatnonzero(~is_one_of(text, blanks))  # a newline follows every field
    starts = np.minimum(others[np.searchsorted(others, starts)], ends)
    last = others[np.maximum(np.searchsorted(others, ends) - 1, 0)]
    return starts, np.where(starts < ends, last + 1, ends)


def _any_between(
    positions: NDArray[np.int64], starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> NDArray[np.bool_]:
    first, last = np.searchsorted(positions, starts), np.searchsorted(positions, ends)
    has_any: NDArray[np.bool_] = last > first
    return has_any


def _texts(
    text: bytes | bytearray, starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> pl.Series:
    """The slices of UTF-8 text; an empty one is null.

    Arrow takes every second value of an array of the slices and of the text between them.
    """
    bounds = np.stack([starts, ends], axis=1).ravel()
    count = len(bounds) - 1
    buffers = [None, pa.py_buffer(bounds), pa.py_buffer(text)]
    every = pa.Array.from_buffers(pa.large_string(), count, buffers)
    chosen = np.arange(0, count, 2)
    return pl.Series(every.take(pa.array(chosen, mask=starts == ends)))


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
