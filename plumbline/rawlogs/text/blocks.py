"""Reads text files as blocks of whole rows, decompressed, with exact line numbers."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from plumbline.base.errors import DataError
from plumbline.rawlogs.text.quoting import NEWLINE, Dialect, row_ends
from plumbline.rawlogs.text.streams import (
    FAILURES,
    ByteStream,
    TextFormat,
    fill,
    open_text,
    unreadable,
)

BLOCK_BYTES = 16 << 20
LONGEST_LINE_BYTES = 64 << 20

BYTE_ORDER_MARK = "\ufeff".encode()


@dataclass(frozen=True, slots=True)
class TextBlock:
    """Whole rows of a text file, as its bytes; every row ends in a newline."""

    text: bytes | bytearray
    start: int
    """Offset in the decompressed file."""
    names: Sequence[str] = ()
    """The columns in the file's order."""
    first: int = 1
    """The number of its first line."""
    encoding: str | None = None
    """The encoding of the bytes, if it is not the table's."""
    constants: Mapping[str, str | None] = field(default_factory=dict)
    """The declared columns that are in `key=value` folders above the file, with their values."""

    @property
    def end(self) -> int:
        """Offset of the next block; past the file's end if the last newline is missing."""
        return self.start + len(self.text)

    def sha256(self) -> str:
        """Hash of the columns' names and of the text: what its rows are parsed from."""
        digest = hashlib.sha256("\n".join([*self.names, ""]).encode("utf-8", "surrogateescape"))
        digest.update(self.text)
        return digest.hexdigest()

    def count_lines(self) -> int:
        return int(np.count_nonzero(np.frombuffer(self.text, np.uint8) == NEWLINE))

    def part(self, start: int, end: int) -> TextBlock:
        """The rows between two offsets in the text; unless `start` is 0, lines count from 1."""
        first = 1 if start else self.first
        return replace(self, text=self.text[start:end], start=self.start + start, first=first)


def read_blocks(
    file: Path, text_format: TextFormat, dialect: Dialect, block_bytes: int = BLOCK_BYTES
) -> Iterator[TextBlock]:
    """The file's rows in blocks: as many whole rows as fit into `block_bytes`.

    A file is cut into the same blocks each time. A block with a longer row grows until the row
    fits.

    Raises
    ------
    DataError
        The file cannot be read or decompressed, or a row is longer than 64 MiB.
    """
    try:
        with open_text(file, text_format) as stream:
            yield from _blocks(file, text_format, dialect, stream, block_bytes)
    except FAILURES as error:
        raise unreadable(file, text_format.compression, error) from None


def _blocks(
    file: Path, text_format: TextFormat, dialect: Dialect, stream: ByteStream, block_bytes: int
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
            _require_row_end(file, text_format, start, len(rest))
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
    """The end of the last complete row, past its newline; 0 if none. Rows begin at `first`."""
    end = text.rfind(b"\n") + 1
    if end == 0 or not dialect.has_quotes(text):
        return end
    ends = row_ends(bytes(memoryview(text)[first:end]), dialect, is_all=False).ends
    return first + int(ends[-1]) + 1 if len(ends) else 0


def _require_row_end(file: Path, text_format: TextFormat, start: int, length: int) -> None:
    """Raises DataError if the row that begins at `start` is too long."""
    if length > LONGEST_LINE_BYTES:
        raise DataError(
            f"{file}:{_line_at(file, text_format, start)}: wanted lines of text, found none ending "
            f"within {LONGEST_LINE_BYTES >> 20} MiB."
        )


def _line_at(file: Path, text_format: TextFormat, position: int) -> int:
    """The 1-based number of the line that begins at `position`."""
    number = 1
    with open_text(file, text_format) as stream:
        while position > 0:
            text = bytearray(min(position, BLOCK_BYTES))
            read = fill(stream, text, 0)
            number += text.count(b"\n")
            position -= read
            if read == 0:
                break
    return number
