"""Which lines of a block have the wanted fields, found over the whole block at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rawlogs.blocks import NEWLINE, Block
from rawlogs.malformed import Fault

CARRIAGE_RETURN = ord("\r")


def well_formed(
    block: Block, fields: int, separator: str, quote: str | None, faults: list[Fault]
) -> Block:
    """The lines with `fields` fields; blank lines are left out, all others become faults.

    A line is a row: a quoted field may hold the separator, and a doubled quote, but no line end.
    """
    starts, ends = block.line_bounds()
    block = block.keep(starts < ends)
    block = _without_carriage_returns(block, faults)
    inside = _Quoted.nowhere()
    if quote is not None and quote.encode() in block.text:
        block = _with_closed_quotes(block, ord(quote), ord(separator), faults)
        inside = _Quoted.of(block, ord(quote))
    return _with_fields(block, fields, ord(separator), inside, faults)


def _with_fields(
    block: Block, fields: int, separator: int, inside: _Quoted, faults: list[Fault]
) -> Block:
    _, ends = block.line_bounds()
    places = inside.leave_out(_places(block, separator))
    found = _count_by_line(places, ends) + 1
    for line in np.flatnonzero(found != fields):
        reason = f"wanted {_plural(fields, 'field')}, found {found[line]}"
        faults.append(Fault(int(block.numbers[line]), reason))
    return block.keep(found == fields)


def _without_carriage_returns(block: Block, faults: list[Fault]) -> Block:
    if b"\r" not in block.text:
        return block
    _, ends = block.line_bounds()
    found = _count_by_line(_places(block, CARRIAGE_RETURN), ends) > 0
    for line in np.flatnonzero(found):
        faults.append(Fault(int(block.numbers[line]), "a carriage return inside the line"))
    return block.keep(~found)


def _with_closed_quotes(block: Block, quote: int, separator: int, faults: list[Fault]) -> Block:
    """Keep lines whose quotes open at a field's start and close at its end."""
    text = np.frombuffer(block.text, np.uint8)
    starts, ends = block.line_bounds()
    quotes = _places(block, quote)
    before = np.where(quotes == 0, NEWLINE, text[np.maximum(quotes - 1, 0)])
    after = text[quotes + 1]  # there is always a newline behind
    line = np.searchsorted(ends, quotes)
    opens = (np.arange(len(quotes)) - np.searchsorted(quotes, starts)[line]) % 2 == 0
    edges = (separator, NEWLINE, quote)
    misplaced = np.where(opens, ~np.isin(before, edges), ~np.isin(after, edges))
    bad = np.zeros(len(ends), bool)
    bad[line[misplaced]] = True
    unclosed = _count_by_line(quotes, ends) % 2 == 1
    for number in np.flatnonzero(bad | unclosed):
        reason = (
            "a quoted field without its closing quote"
            if unclosed[number]
            else ("a quote that neither opens nor closes a field")
        )
        faults.append(Fault(int(block.numbers[number]), reason))
    return block.keep(~(bad | unclosed))


class _Quoted:
    """Where quoted fields lie in a block whose quotes are all closed."""

    def __init__(self, quotes: NDArray[np.int64]) -> None:
        self._quotes = quotes

    @classmethod
    def nowhere(cls) -> _Quoted:
        return cls(np.empty(0, np.int64))

    @classmethod
    def of(cls, block: Block, quote: int) -> _Quoted:
        return cls(_places(block, quote))

    def leave_out(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Those places that are not inside quotes."""
        if len(self._quotes) == 0:
            return places
        outside: NDArray[np.bool_] = np.searchsorted(self._quotes, places) % 2 == 0
        return places[outside]


def _places(block: Block, byte: int) -> NDArray[np.int64]:
    places: NDArray[np.int64] = np.flatnonzero(np.frombuffer(block.text, np.uint8) == byte)
    return places


def _count_by_line(places: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many places lie in each line; ends: int64 (L,), ascending."""
    counts: NDArray[np.int64] = np.diff(np.searchsorted(places, ends), prepend=0)
    return counts


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
