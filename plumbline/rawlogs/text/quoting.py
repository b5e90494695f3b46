"""Finds the ends of rows in text with quoted fields.

A quote opens a field only at the start of the field, and closes it only before a separator or a
line end; a doubled quote inside the field stands for one quote. So a row may span lines. A quote
anywhere else is text, and makes its row malformed. An opening quote that is not closed within
`LONGEST_QUOTED_BYTES` makes its line malformed, and the next line begins a row.

The end of a row does not depend on the text before the row, so text that is cut at row ends has the
same rows in parts as in whole.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from plumbline.settings import Table

LONGEST_QUOTED_BYTES = 16 << 20

NEWLINE = ord("\n")
CARRIAGE_RETURN = ord("\r")

UNCLOSED = "a quoted field without its closing quote"
MISPLACED = "a quote that neither opens nor closes a field"
CLOSED_LATE = "a quoted field over several lines whose closing quote has text after it"

_MARK, _LAST_MARK = b"\xfe", b"\xff"
"""Bytes that UTF-8 does not use, in place of a separator of several characters."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How fields are separated, in bytes.

    quote: the byte, None if quotes are text. blanks: the bytes that are trimmed around a field.
    """

    separator: bytes
    quote: int | None
    blanks: bytes

    @classmethod
    def of(cls, table: Table) -> Dialect:
        blanks = bytes(b for b in b" \t" if table.trim and chr(b) not in table.separator)
        quote = None if table.quote is None else ord(table.quote)
        return cls(table.separator.encode(), quote, blanks)

    @property
    def mark(self) -> bytes:
        """The separator in marked text, of the same length."""
        several = len(self.separator) > 1
        return _MARK * (len(self.separator) - 1) + _LAST_MARK if several else self.separator

    def marked(self, text: bytes | bytearray) -> bytes | bytearray:
        """The text with marks in place of separators of several characters; offsets stay the same.

        Separators inside quotes are marked too: a separator cannot contain a quote.
        """
        return text if len(self.separator) == 1 else text.replace(self.separator, self.mark)

    @property
    def is_plain(self) -> bool:
        """Whether a row is fields between separators of one byte, without quotes or trimming."""
        return len(self.separator) == 1 and self.quote is None and not self.blanks

    def has_quotes(self, text: bytes | bytearray) -> bool:
        return self.quote is not None and self.quote in text


@dataclass(frozen=True, slots=True)
class QuoteFault:
    """A fault in the quotes of a row, and its position in the text."""

    reason: str
    position: int


@dataclass(frozen=True, slots=True)
class RowEnds:
    """ends: int64 (R,), the newline at the end of each row. faults: row to its fault."""

    ends: NDArray[np.int64]
    faults: dict[int, QuoteFault]


def row_ends(text: bytes | bytearray, dialect: Dialect, is_all: bool = True) -> RowEnds:
    """The rows of text that begins with a row and ends in a newline.

    If more text follows (`is_all` is false), the result ends before the first row that the further
    text might change.
    """
    if not dialect.has_quotes(text):
        return RowEnds(positions_of(text, NEWLINE), {})
    return _Quoted(dialect.marked(text), dialect, is_all).row_ends()


def positions_of(text: bytes | bytearray, byte: int) -> NDArray[np.int64]:
    positions: NDArray[np.int64] = np.flatnonzero(np.frombuffer(text, np.uint8) == byte)
    return positions


def first_row(text: bytes | bytearray, start: int, dialect: Dialect) -> tuple[int, str | None]:
    """The newline of the row that begins at `start`, and the fault of its quotes."""
    scanned = None
    if dialect.quote is not None:
        scanned = _scan(dialect.marked(text), start, dialect, is_all=True)
    end, fault = scanned or (text.index(b"\n", start), None)
    return end, None if fault is None else fault.reason


def _scan(
    text: bytes | bytearray, start: int, dialect: Dialect, is_all: bool
) -> tuple[int, QuoteFault | None] | None:
    """The end of one row of marked text, byte by byte; None if it depends on further text."""
    if dialect.quote is None:
        raise ValueError("wanted a dialect with quotes")
    quote, mark = dialect.quote, dialect.mark
    fault: QuoteFault | None = None
    at = start
    while True:
        field = _skip_blanks(text, at, dialect.blanks)
        if text[field] == quote:
            last, is_closed = _last_quote(text, field, quote)
            if not is_closed:
                if not is_all and len(text) - last <= LONGEST_QUOTED_BYTES:
                    return None
                return text.index(b"\n", field), QuoteFault(UNCLOSED, field)
            at = _skip_blanks(text, last + 1, dialect.blanks)
            if text[at] == mark[0]:
                at += len(mark)
                continue
            if text[at] == NEWLINE or text[at : at + 2] == b"\r\n":
                return text.index(b"\n", at), fault
            late = text.find(b"\n", field, at) >= 0
            fault = fault or QuoteFault(CLOSED_LATE if late else MISPLACED, field)
        newline = text.index(b"\n", at)
        separator = text.find(mark, at, newline)
        stray = text.find(quote, at, newline if separator < 0 else separator)
        if stray >= 0 and fault is None:
            fault = QuoteFault(MISPLACED, stray)
        if separator < 0:
            return newline, fault
        at = separator + len(mark)


def _skip_blanks(text: bytes | bytearray, at: int, blanks: bytes) -> int:
    while blanks and text[at] in blanks:
        at += 1
    return at


def _last_quote(text: bytes | bytearray, opening: int, quote: int) -> tuple[int, bool]:
    """The field's last quote, and whether it closes the field."""
    last = opening
    while True:
        found = text.find(quote, last + 1, last + 1 + LONGEST_QUOTED_BYTES)
        if found < 0:
            return last, False
        if text[found + 1] != quote:
            return found, True
        last = found + 1


class _Quoted:
    """Finds the rows of marked text with quotes, all at once if no quote is misplaced.

    Quotes alternate between opening and closing; a doubled quote closes and opens. A row with a
    misplaced quote is scanned byte by byte.
    """

    def __init__(self, text: bytes | bytearray, dialect: Dialect, is_all: bool) -> None:
        if dialect.quote is None:
            raise ValueError("wanted a dialect with quotes")
        self._text, self._dialect, self._is_all = text, dialect, is_all
        self._quotes = positions_of(text, dialect.quote)
        self._newlines = positions_of(text, NEWLINE)
        self._parity = np.searchsorted(self._quotes, self._newlines) % 2
        self._misplaced = self._find_misplaced()

    def row_ends(self) -> RowEnds:
        chunks: list[NDArray[np.int64]] = []
        faults: dict[int, QuoteFault] = {}
        rows, start, quote, newline = 0, 0, 0, 0
        while True:
            odd = self._misplaced[quote % 2]
            at = int(np.searchsorted(odd, quote))
            is_last = at == len(odd)
            stop = len(self._newlines)
            if not is_last:
                stop = int(np.searchsorted(self._newlines, self._quotes[odd[at]]))
            inside = self._parity[newline:stop] != quote % 2
            chunk = self._newlines[newline:stop][~inside]
            chunks.append(chunk)
            rows += len(chunk)
            if is_last:
                break
            start = int(chunk[-1]) + 1 if len(chunk) else start
            scanned = _scan(self._text, start, self._dialect, self._is_all)
            if scanned is None:
                break
            end, fault = scanned
            if fault is not None:
                faults[rows] = fault
            chunks.append(np.array([end], np.int64))
            rows, start = rows + 1, end + 1
            newline = int(np.searchsorted(self._newlines, start))
            quote = int(np.searchsorted(self._quotes, start))
        return RowEnds(np.concatenate(chunks), faults)

    def _find_misplaced(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The quotes that are misplaced if the even ones open, and if the odd ones do."""
        text, quotes = np.frombuffer(self._text, np.uint8), self._quotes
        before, after = quotes - 1, quotes + 1
        if self._dialect.blanks:
            before, after = _nearest_non_blanks(text, before, after, self._dialect.blanks)
        mark = self._dialect.mark
        behind, ahead = text[np.maximum(before, 0)], text[after]
        next_one = text[np.minimum(after + 1, len(text) - 1)]
        near = np.diff(quotes) == 1
        opens = (before < 0) | (behind == mark[-1]) | (behind == NEWLINE)
        opens[1:] |= near
        closes = (ahead == mark[0]) | (ahead == NEWLINE)
        closes |= (ahead == CARRIAGE_RETURN) & (next_one == NEWLINE)
        closes[:-1] |= near
        far = np.ones(len(quotes), bool)  # nothing closes the last one
        far[:-1] = np.diff(quotes) > LONGEST_QUOTED_BYTES
        opens &= ~far
        even = np.arange(len(quotes)) % 2 == 0
        return (
            np.flatnonzero(np.where(even, ~opens, ~closes)),
            np.flatnonzero(np.where(even, ~closes, ~opens)),
        )


def _nearest_non_blanks(
    text: NDArray[np.uint8], before: NDArray[np.int64], after: NDArray[np.int64], blanks: bytes
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The nearest positions that are not blank, from `before` backward and `after` forward."""
    others = np.flatnonzero(~is_one_of(text, blanks))
    last = np.searchsorted(others, before, side="right") - 1
    nearest = np.where(last < 0, -1, others[np.maximum(last, 0)])
    return nearest, others[np.searchsorted(others, after)]


def is_one_of(text: NDArray[np.uint8], few: bytes) -> NDArray[np.bool_]:
    is_any = np.zeros(len(text), bool)
    for byte in few:
        is_any |= text == byte
    return is_any
