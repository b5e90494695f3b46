"""Text files as blocks of whole rows, unpacked, with exact line numbers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from plumbline.base.errors import DataError
from plumbline.rawlogs.text.quoting import NEWLINE, Dialect, row_ends
from plumbline.rawlogs.text.streams import (
    FAILURES,
    ByteStream,
    TextForm,
    fill,
    open_text,
    unreadable,
)

BLOCK_BYTES = 16 << 20
LONGEST_LINE_BYTES = 64 << 20

BYTE_ORDER_MARK = "\ufeff".encode()


@dataclass(frozen=True, slots=True)
class TextBlock:
    """Whole rows of a text file as they stand in it; a newline byte ends the last one, too."""

    text: bytes | bytearray
    start: int
    """Where it begins in the file's (unpacked) bytes."""
    names: Sequence[str] = ()
    """The columns in the file's order."""
    first: int = 1
    """The number of its first line."""
    encoding: str | None = None
    """The encoding of its bytes, where it is not the table's."""
    constants: Mapping[str, str | None] = field(default_factory=dict)
    """The declared columns that the folders above the file give, with their values."""

    @property
    def end(self) -> int:
        """Where the next block begins; past the file's end if that lacks its last newline."""
        return self.start + len(self.text)

    def count_lines(self) -> int:
        return int(np.count_nonzero(np.frombuffer(self.text, np.uint8) == NEWLINE))

    def part(self, start: int, end: int) -> TextBlock:
        """The rows between two positions in the text; a part inside counts its lines from 1."""
        first = 1 if start else self.first
        return replace(self, text=self.text[start:end], start=self.start + start, first=first)


def read_blocks(
    file: Path, form: TextForm, dialect: Dialect, block_bytes: int = BLOCK_BYTES
) -> Iterator[TextBlock]:
    """The file's rows as they are, as many whole ones a block as fit into `block_bytes`.

    The same file is cut in the same places each time. A row that is longer than a block has the
    block grow until it fits.

    Raises
    ------
    DataError
        The file cannot be read or unpacked, or a row is longer than 64 MiB.
    """
    try:
        with open_text(file, form) as stream:
            yield from _blocks(file, form, dialect, stream, block_bytes)
    except FAILURES as error:
        raise unreadable(file, form.compression, error) from None


def _blocks(
    file: Path, form: TextForm, dialect: Dialect, stream: ByteStream, block_bytes: int
) -> Iterator[TextBlock]:
    start, rest, size = 0, b"", block_bytes
    while True:
        text = bytearray(max(size, len(rest) + 1))
        text[: len(rest)] = rest
        filled = fill(stream, text, len(rest))
        if filled < len(text):
            break
        marked = len(BYTE_ORDER_MARK) if start == 0 and text.startswith(BYTE_ORDER_MARK) else 0
        end = _last_row_end(text, marked, dialect)
        rest = bytes(memoryview(text)[end:])
        if end == 0:
            _require_an_end(file, form, start, len(rest))
            size = 2 * len(text)
            continue
        del text[end:]
        yield TextBlock(text, start)
        start, size = start + end, block_bytes
    del text[filled:]
    if text and not text.endswith(b"\n"):
        text += b"\n"
    if text:
        yield TextBlock(text, start)


def _last_row_end(text: bytearray, first: int, dialect: Dialect) -> int:
    """Behind the last row that is there as a whole, the first one beginning at `first`; or 0."""
    end = text.rfind(b"\n") + 1
    if end == 0 or not dialect.has_quotes(text):
        return end
    ends = row_ends(bytes(memoryview(text)[first:end]), dialect, is_all=False).ends
    return first + int(ends[-1]) + 1 if len(ends) else 0


def _require_an_end(file: Path, form: TextForm, start: int, length: int) -> None:
    """Raises DataError where the row that begins at `start` is too long to be one."""
    if length > LONGEST_LINE_BYTES:
        raise DataError(
            f"{file}:{_line_at(file, form, start)}: wanted lines of text, found none ending within "
            f"{LONGEST_LINE_BYTES >> 20} MiB."
        )


def _line_at(file: Path, form: TextForm, position: int) -> int:
    """The 1-based number of the line that begins there."""
    number = 1
    with open_text(file, form) as stream:
        while position > 0:
            text = bytearray(min(position, BLOCK_BYTES))
            read = fill(stream, text, 0)
            number += text.count(b"\n")
            position -= read
            if read == 0:
                break
    return number
