"""Text files as blocks of whole lines, decompressed and decoded, with exact line numbers."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from features.errors import DataError
from rawlogs.malformed import Fault

BLOCK_BYTES = 16 << 20
LONGEST_LINE_BYTES = 64 << 20

NEWLINE = ord("\n")

COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}


@dataclass(frozen=True, slots=True)
class RawBlock:
    """Whole lines as they stand in the file; the last one is ended by a newline byte, too.

    `start` is where it begins in the file's (decompressed) bytes.
    """

    text: bytes | bytearray
    start: int

    @property
    def end(self) -> int:
        """Where the next block begins; past the file's end if that lacks its last newline."""
        return self.start + len(self.text)

    def count_lines(self) -> int:
        return int(np.count_nonzero(np.frombuffer(self.text, np.uint8) == NEWLINE))

    def numbered(self, first: int) -> Block:
        r"""The lines with their numbers, of which `first` is the first; `\r\n` turned to `\n`."""
        text = unix_lines(self.text)
        return Block(text, np.arange(first, first + self.count_lines(), dtype=np.int64))


@dataclass(frozen=True, slots=True)
class Block:
    """Lines in UTF-8, each ended by one newline byte.

    numbers: int64 (L,), the 1-based line number in the file of each.
    """

    text: bytes | bytearray
    numbers: NDArray[np.int64]

    def line_bounds(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """starts and ends, both int64 (L,): a line is `text[start:end]`, its newline left out."""
        ends = np.flatnonzero(np.frombuffer(self.text, np.uint8) == NEWLINE)
        starts = np.zeros(len(ends), np.int64)
        starts[1:] = ends[:-1] + 1
        return starts, ends

    def keep(self, kept: NDArray[np.bool_]) -> Block:
        """The block of those lines alone; kept: bool (L,)."""
        if kept.all():
            return self
        starts, ends = self.line_bounds()
        bytes_kept = np.repeat(kept, ends - starts + 1)
        text = np.frombuffer(self.text, np.uint8)[bytes_kept].tobytes()
        return Block(text, self.numbers[kept])


def unix_lines(text: bytes | bytearray) -> bytes | bytearray:
    r"""`\r\n` turned to `\n`."""
    return text.replace(b"\r\n", b"\n") if b"\r" in text else text


def read_blocks(file: Path, block_bytes: int = BLOCK_BYTES) -> Iterator[RawBlock]:
    """The file's lines as they are, as many whole ones a block as fit into `block_bytes`.

    The same file is cut in the same places each time. A line that is longer than a block has the
    block grow until it fits.

    Raises
    ------
    DataError
        The file cannot be read or decompressed, or a line is longer than 64 MiB.
    """
    compression = COMPRESSIONS.get(file.suffix)
    try:
        with pa.input_stream(str(file), compression=compression) as stream:
            yield from _blocks(file, stream, block_bytes)
    except OSError as error:
        form = f" as {compression}" if compression else ""
        raise DataError(f"{file}: cannot be read{form}: {error}.") from None


def read_block(file: Path, start: int, end: int) -> RawBlock:
    """A block of a file that is not compressed, from where `read_blocks` found it.

    Raises
    ------
    DataError
        The file cannot be read.
    """
    text = bytearray(end - start)
    try:
        with pa.OSFile(str(file)) as stream:
            stream.seek(start)
            filled = _fill(stream, text, 0)
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error}.") from None
    if filled < len(text):
        text[filled:] = b"\n"  # the last line's, which the file lacks
    return RawBlock(text, start)


def _blocks(file: Path, stream: pa.NativeFile, block_bytes: int) -> Iterator[RawBlock]:
    start, rest, size = 0, b"", block_bytes
    while True:
        text = bytearray(max(size, len(rest) + 1))
        text[: len(rest)] = rest
        filled = _fill(stream, text, len(rest))
        if filled < len(text):
            break
        end = text.rfind(b"\n") + 1
        rest = bytes(memoryview(text)[end:])
        if end == 0:
            _require_an_end(file, start, len(rest))
            size = 2 * len(text)
            continue
        del text[end:]
        yield RawBlock(text, start)
        start, size = start + end, block_bytes
    del text[filled:]
    if text and not text.endswith(b"\n"):
        text += b"\n"
    if text:
        yield RawBlock(text, start)


def _fill(stream: pa.NativeFile, text: bytearray, filled: int) -> int:
    """Read until `text` is full or the stream ends; how much of it is filled then."""
    with memoryview(text) as view:
        while filled < len(view):
            got = stream.readinto(view[filled:])
            if got == 0:
                break
            filled += got
    return filled


def _require_an_end(file: Path, start: int, length: int) -> None:
    """Raises DataError where the line that begins at `start` is too long to be a line of text."""
    if length > LONGEST_LINE_BYTES:
        raise DataError(
            f"{file}:{_line_at(file, start)}: wanted lines of text, found none ending within "
            f"{LONGEST_LINE_BYTES >> 20} MiB."
        )


def _line_at(file: Path, place: int) -> int:
    """The 1-based number of the line that begins there."""
    number = 1
    with pa.input_stream(str(file), compression=COMPRESSIONS.get(file.suffix)) as stream:
        while place > 0 and (piece := stream.read(min(place, BLOCK_BYTES))):
            number += piece.count(b"\n")
            place -= len(piece)
    return number


def decode(block: Block, encoding: str, faults: list[Fault]) -> Block:
    """The block in UTF-8; lines that are not in the encoding become faults."""
    is_utf8 = codecs.lookup(encoding).name in ("utf-8", "utf-8-sig")
    encoding = "utf-8" if is_utf8 else encoding
    try:
        text = block.text.decode(encoding)
        return block if is_utf8 else Block(text.encode(), block.numbers)
    except UnicodeDecodeError:
        pass
    lines, numbers = [], []
    for line, number in zip(bytes(block.text).split(b"\n"), block.numbers.tolist(), strict=False):
        try:
            lines.append(line.decode(encoding).encode() + b"\n")
            numbers.append(number)
        except UnicodeDecodeError as error:
            found = line[error.start : error.end]
            faults.append(
                Fault(number, f"wanted {encoding} text, found {found!r} at byte {error.start + 1}")
            )
    return Block(b"".join(lines), np.array(numbers, np.int64))
