"""Rewrites text of any dialect as plain lines for the native parser.

Separators of several characters become one byte, and quotes are removed. Separators and newlines
inside quotes are kept apart by bytes that the text does not have.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from plumbline.columns.values import Text, Values
from plumbline.rawlogs.text.quoting import CARRIAGE_RETURN, NEWLINE, Dialect, positions_of, row_ends

_BLANK, _TAB = b" \t"
_SPARE = bytes(range(0x1F, 0x0D, -1)) + bytes(range(8, 0, -1))


@dataclass(frozen=True, slots=True)
class PlainText:
    r"""One row per line, each with its `\n`; `stand_ins` maps a byte to the one it replaces."""

    lines: bytes | bytearray
    separator: str
    lines_are_rows: bool = True
    """Whether each row is one line of the file."""
    stand_ins: Mapping[int, int] = field(default_factory=dict)

    def restored(self, values: Values) -> Values:
        """A column with its original bytes."""
        if not self.stand_ins or not isinstance(values, Text):
            return values
        data = values.data.copy()
        for spare, byte in self.stand_ins.items():
            data[data == spare] = byte
        return Text(values.offsets, data)


def plain_text(text: bytes | bytearray, dialect: Dialect) -> PlainText | None:
    """The rows of the text as plain lines; None if they cannot be rewritten safely."""
    found = _plain(text, dialect)
    return found if found is None or not dialect.blanks else _without_blanks(found)


def _plain(text: bytes | bytearray, dialect: Dialect) -> PlainText | None:
    if dialect.has_quotes(text):
        return _unquoted(text, dialect)
    lines = text.replace(b"\r\n", b"\n") if b"\r" in text else text
    if len(dialect.separator) == 1:
        return PlainText(lines, dialect.separator.decode())
    spare = _spare(lines)
    if not spare:
        return None
    return PlainText(lines.replace(dialect.separator, spare[:1]), chr(spare[0]))


def _without_blanks(text: PlainText) -> PlainText:
    """Remove blanks and tabs at the ends of fields."""
    raw, separator = np.frombuffer(text.lines, np.uint8), ord(text.separator)
    is_blank = ((raw == _BLANK) | (raw == _TAB)) & (raw != separator)
    edges = np.flatnonzero(np.diff(is_blank, prepend=False))
    if len(edges) == 0:
        return text
    starts, ends = edges[::2], edges[1::2]  # the last byte is a newline
    before, after = raw[starts - 1], raw[ends]
    at_an_end = (before == separator) | (after == separator) | (before == NEWLINE)
    at_an_end |= (after == NEWLINE) | (starts == 0)
    steps = np.zeros(len(raw), np.int8)
    steps[starts[at_an_end]] = 1
    steps[ends[at_an_end]] = -1
    kept = np.cumsum(steps, dtype=np.int8) == 0
    return replace(text, lines=raw[kept].tobytes())


def _spare(text: bytes | bytearray) -> bytes:
    """Bytes that the text does not have."""
    return bytes(byte for byte in _SPARE if byte not in text)


def _unquoted(text: bytes | bytearray, dialect: Dialect) -> PlainText | None:
    spare = _spare(text)
    if len(spare) < 3 or b"\0" in text or dialect.quote is None:
        return None
    found = row_ends(text, dialect)
    if found.faults:
        return None
    marked = dialect.marked(text)
    out: NDArray[np.uint8] = np.frombuffer(marked, np.uint8).copy()
    quotes = positions_of(marked, dialect.quote)
    kept = _without_quotes(len(out), quotes)
    separators = positions_of(marked, dialect.mark[-1])
    outside = _is_outside(quotes, separators)
    if len(dialect.separator) > 1:
        original = np.frombuffer(text, np.uint8)
        for index in range(len(dialect.separator)):
            inside = separators[~outside] - index
            out[inside] = original[inside]
            if index > 0:
                kept[separators[outside] - index] = False
    out[separators[outside]] = spare[0]
    newlines = positions_of(marked, NEWLINE)
    inner = newlines[~_is_outside(quotes, newlines)]
    out[inner] = spare[1]
    stand_ins = {spare[1]: NEWLINE} if len(inner) else {}
    if b"\r" in text:
        returns = positions_of(marked, CARRIAGE_RETURN)
        is_end = _is_outside(quotes, returns)
        out[returns[~is_end]] = spare[2]
        stand_ins[spare[2]] = CARRIAGE_RETURN
        ends = returns[is_end]
        kept[ends[out[ends + 1] == NEWLINE]] = False
    return PlainText(out[kept].tobytes(), chr(spare[0]), len(inner) == 0, stand_ins)


def _is_outside(quotes: NDArray[np.int64], positions: NDArray[np.int64]) -> NDArray[np.bool_]:
    outside: NDArray[np.bool_] = np.searchsorted(quotes, positions) % 2 == 0
    return outside


def _without_quotes(size: int, quotes: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which bytes stay: one of two doubled quotes inside a field, and no other quote."""
    kept = np.ones(size, bool)
    kept[quotes] = False
    doubled = np.flatnonzero((np.diff(quotes) == 1) & (np.arange(len(quotes) - 1) % 2 == 1))
    kept[quotes[doubled]] = True
    return kept
