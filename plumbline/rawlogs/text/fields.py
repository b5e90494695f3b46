"""Rows of text to fields, over a whole block at once."""

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
"""Of the lines behind a quote without its partner, so many have to be rows to be taken for rows."""


@dataclass(frozen=True, slots=True)
class TextRows:
    """Rows of a block of text; none of them is blank, and some may be malformed.

    starts, ends: int64 (R,), a row is `text[start:end]`, its line end left out. numbers: int64
    (R,), the 1-based line number in the file of each row's first line. faults: row to what is wrong
    with its quotes.
    """

    text: bytes | bytearray
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    numbers: NDArray[np.int64]
    faults: dict[int, QuoteFault]

    @classmethod
    def of(cls, text: bytes | bytearray, first: int, dialect: Dialect) -> TextRows:
        r"""The rows of whole lines, of which the first has the number `first`.

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
        """Those rows alone; kept: bool (R,)."""
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

    def count(self, found: NDArray[np.int64]) -> NDArray[np.int64]:
        """How many of the positions, which ascend, lie in each row."""
        counts: NDArray[np.int64] = np.searchsorted(found, self.ends)
        return counts - np.searchsorted(found, self.starts)


@dataclass(frozen=True, slots=True)
class Fields:
    """The fields of rows that have equally many.

    separators: int64, the positions of separators in the marked text, of which `first[row]` is the
    position in it of the row's first one.
    """

    rows: TextRows
    dialect: Dialect
    separators: NDArray[np.int64]
    first: NDArray[np.int64]
    count: int

    def column(self, position: int) -> pl.Series:
        """The texts of one field, empty ones as null."""
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
        found = _texts(self.rows.text, starts, ends)
        if quote is None or doubled is None or not doubled.any():
            return found
        single = found.filter(doubled).str.replace_all(chr(quote) * 2, chr(quote), literal=True)
        return found.scatter(np.flatnonzero(doubled), single)

    def _bounds(self, position: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        starts, ends = self.rows.starts, self.rows.ends
        if position > 0:
            starts = self.separators[self.first + position - 1] + 1
        if position < self.count - 1:
            ends = self.separators[self.first + position] + 1 - len(self.dialect.separator)
        return starts, ends


def split_fields(rows: TextRows, fields: int, dialect: Dialect, faults: list[Fault]) -> Fields:
    """The rows that have `fields` fields; all others become faults.

    Where a row is refused that spans lines, its quote may be one that lacks its partner. If the
    lines behind it are rows then, they are taken for rows.
    """
    judged = _Judged.of(rows, fields, dialect)
    if dialect.has_quotes(rows.text) and fields > 1 and not judged.good.all():
        rows = _resynchronized(judged, fields, dialect)
        judged = _Judged.of(rows, fields, dialect)
    faults += judged.faults(dialect)
    good = judged.good
    return Fields(rows.keep(good), dialect, judged.separators, judged.first[good], fields)


def field_texts(rows: TextRows, dialect: Dialect) -> list[str]:
    """The fields of the one row."""
    (count,) = _Judged.of(rows, 0, dialect).found.tolist()
    fields = split_fields(rows, count, dialect, [])
    columns = (fields.column(position) for position in range(count))
    return [text or "" for column in columns for text in column.to_list()]


@dataclass(frozen=True, slots=True)
class _Judged:
    """Rows, and which of them are good.

    found: int64 (R,), the fields of each. returns: bool (R,), whether a carriage return lies in it.
    """

    rows: TextRows
    fields: int
    separators: NDArray[np.int64]
    first: NDArray[np.int64]
    found: NDArray[np.int64]
    returns: NDArray[np.bool_]
    good: NDArray[np.bool_]

    @classmethod
    def of(cls, rows: TextRows, fields: int, dialect: Dialect) -> _Judged:
        marked = dialect.marked(rows.text)
        inside = _Inside.of(rows, dialect)
        separators = inside.leave_out(positions_of(marked, dialect.mark[-1]))
        first = np.searchsorted(separators, rows.starts)
        found = np.searchsorted(separators, rows.ends) - first + 1
        returns = np.zeros(len(rows), bool)
        if b"\r" in rows.text:
            returns = rows.count(inside.leave_out(positions_of(rows.text, CARRIAGE_RETURN))) > 0
        good = (found == fields) & ~returns
        good[list(rows.faults)] = False
        return cls(rows, fields, separators, first, found, returns, good)

    def faults(self, dialect: Dialect) -> list[Fault]:
        return [self._fault(int(row), dialect) for row in np.flatnonzero(~self.good)]

    def _fault(self, row: int, dialect: Dialect) -> Fault:
        rows, number = self.rows, int(self.rows.numbers[row])
        start = int(rows.starts[row])
        fault = rows.faults.get(row)
        if fault is not None:
            return Fault(number + rows.text.count(b"\n", start, fault.position), fault.reason)
        if self.returns[row]:
            return Fault(number, "a carriage return inside the line", "line ends have to be alike")
        reason = f"wanted {_plural(self.fields, 'field')}, found {self.found[row]}"
        lines = rows.text.count(b"\n", start, int(rows.ends[row])) + 1
        if lines > 1:
            reason += f" in a row of {lines} lines"
        quotes = rows.text.count(b'"', start, int(rows.ends[row]))
        is_quoted = dialect.quote is None and quotes > 1
        advice = "log.quote: '\"' takes separators between quotes" if is_quoted else ""
        return Fault(number, reason, advice)


class _Inside:
    """Where quoted fields lie."""

    def __init__(self, quotes: NDArray[np.int64]) -> None:
        self._quotes = quotes

    @classmethod
    def of(cls, rows: TextRows, dialect: Dialect) -> _Inside:
        """Of rows whose quotes are well placed; each has an even number of them."""
        if dialect.quote is None or not dialect.has_quotes(rows.text):
            return cls(np.empty(0, np.int64))
        quotes = positions_of(rows.text, dialect.quote)
        row = np.searchsorted(rows.starts, quotes, side="right") - 1
        bad = np.zeros(len(rows) + 1, bool)  # the last one stands for what is before all rows
        bad[[*rows.faults, -1]] = True
        outside = bad[row]
        outside |= quotes >= np.append(rows.ends, 0)[row]
        return cls(quotes[~outside])

    def leave_out(self, found: NDArray[np.int64]) -> NDArray[np.int64]:
        """Those positions that are not inside quotes."""
        if len(self._quotes) == 0:
            return found
        outside: NDArray[np.bool_] = np.searchsorted(self._quotes, found) % 2 == 0
        return found[outside]


def _resynchronized(judged: _Judged, fields: int, dialect: Dialect) -> TextRows:
    """The rows, where of a refused one the lines behind the first may be rows of their own."""
    rows = judged.rows
    parts: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]] = []
    faults: dict[int, QuoteFault] = {}
    done, more = 0, 0
    for row in np.flatnonzero(~judged.good).tolist():
        newline = rows.text.find(b"\n", int(rows.starts[row]), int(rows.ends[row]))
        behind = None
        if newline >= 0 and not judged.returns[row]:
            behind = _rows_behind(rows, row, newline, fields, dialect)
        if behind is None:
            if row in rows.faults:
                faults[row + more] = rows.faults[row]
            continue
        parts.append((rows.starts[done:row], rows.ends[done:row], rows.numbers[done:row]))
        parts.append((rows.starts[row : row + 1], np.array([newline]), rows.numbers[row : row + 1]))
        parts.append((behind.starts, behind.ends, behind.numbers))
        faults[row + more] = QuoteFault(UNCLOSED, int(rows.starts[row]))
        faults.update(
            {row + more + 1 + position: fault for position, fault in behind.faults.items()}
        )
        done, more = row + 1, more + len(behind)
    parts.append((rows.starts[done:], rows.ends[done:], rows.numbers[done:]))
    starts, ends, numbers = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return TextRows(rows.text, starts, ends, numbers, faults)


def _rows_behind(
    rows: TextRows, row: int, newline: int, fields: int, dialect: Dialect
) -> TextRows | None:
    """The lines of a row behind its first newline as rows; None where they are none."""
    text = rows.text[newline + 1 : int(rows.ends[row])] + b"\n"
    found = TextRows.of(text, int(rows.numbers[row]) + 1, dialect)
    good = _Judged.of(found, fields, dialect).good
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
    others = np.flatnonzero(~is_one_of(text, blanks))  # a newline stands behind every field
    starts = np.minimum(others[np.searchsorted(others, starts)], ends)
    last = others[np.maximum(np.searchsorted(others, ends) - 1, 0)]
    return starts, np.where(starts < ends, last + 1, ends)


def _any_between(
    found: NDArray[np.int64], starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> NDArray[np.bool_]:
    some: NDArray[np.bool_] = np.searchsorted(found, ends) > np.searchsorted(found, starts)
    return some


def _texts(
    text: bytes | bytearray, starts: NDArray[np.int64], ends: NDArray[np.int64]
) -> pl.Series:
    """The slices of UTF-8 text, empty ones as null.

    Arrow takes them from one array that holds the slices and, between them, what lies between.
    """
    bounds = np.stack([starts, ends], axis=1).ravel()
    count = len(bounds) - 1
    buffers = [None, pa.py_buffer(bounds), pa.py_buffer(text)]
    every = pa.Array.from_buffers(pa.large_string(), count, buffers)
    chosen = np.arange(0, count, 2)
    return pl.Series(every.take(pa.array(chosen, mask=starts == ends)))


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
