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
class Block:
    """Lines in UTF-8, each ended by one newline byte.

    numbers: int64 (L,), the 1-based line number in the file of each.
    """

    text: bytes
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


def read_blocks(file: Path, block_bytes: int = BLOCK_BYTES) -> Iterator[Block]:
    r"""The file's lines as they are, not yet decoded, `\r\n` turned to `\n`.

    Raises
    ------
    DataError
        The file cannot be read or decompressed, or a line is longer than 64 MiB.
    """
    first, rest = 1, b""
    for piece in _pieces(file, block_bytes):
        head, newline, tail = piece.rpartition(b"\n")
        if not newline:
            rest += piece
            if len(rest) > LONGEST_LINE_BYTES:
                raise DataError(
                    f"{file}:{first}: wanted lines of text, found none ending within "
                    f"{LONGEST_LINE_BYTES >> 20} MiB."
                )
            continue
        block = _block(rest + head + newline, first)
        rest, first = tail, first + len(block.numbers)
        yield block
    if rest:
        yield _block(rest + b"\n", first)


def _pieces(file: Path, size: int) -> Iterator[bytes]:
    compression = COMPRESSIONS.get(file.suffix)
    try:
        with pa.input_stream(str(file), compression=compression) as stream:
            while piece := stream.read(size):
                yield piece
    except OSError as error:
        form = f" as {compression}" if compression else ""
        raise DataError(f"{file}: cannot be read{form}: {error}.") from None


def _block(text: bytes, first: int) -> Block:
    if b"\r" in text:
        text = text.replace(b"\r\n", b"\n")
    lines = text.count(b"\n")
    return Block(text, np.arange(first, first + lines, dtype=np.int64))


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
    for line, number in zip(block.text.split(b"\n"), block.numbers.tolist(), strict=False):
        try:
            lines.append(line.decode(encoding).encode() + b"\n")
            numbers.append(number)
        except UnicodeDecodeError as error:
            found = line[error.start : error.end]
            faults.append(
                Fault(number, f"wanted {encoding} text, found {found!r} at byte {error.start + 1}")
            )
    return Block(b"".join(lines), np.array(numbers, np.int64))
