"""Samples a text file: its beginning and, if it is not compressed, its middle."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path

from plumbline.base.errors import DataError
from plumbline.rawlogs.text.file_types import START_BYTES, other_format
from plumbline.rawlogs.text.streams import FAILURES, compression_name, fill, unpacked, unreadable

HEAD_BYTES = 48 << 20
MIDDLE_BYTES = 12 << 20
_RATIO_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Sample:
    """`middle` is empty if the file was read to its end or is compressed."""

    head: bytes
    middle: bytes
    is_whole: bool
    total_bytes: int
    """Size of the text; an estimate if the file is compressed and not read to its end."""


def is_parquet(file: Path) -> bool:
    return _bytes_at(file, 0, 4) == b"PAR1"


def read_sample(file: Path, head_bytes: int = HEAD_BYTES) -> Sample:
    """Raises DataError if the file cannot be read, is empty, or is not text."""
    compression, head = compression_name(file), bytearray(head_bytes + 1)
    try:
        with unpacked(file, compression) as stream:
            filled = fill(stream, head, 0)
    except FAILURES as error:
        raise unreadable(file, compression, error) from None
    is_whole = filled <= head_bytes
    read = bytes(head[: min(filled, head_bytes)])
    _require_text(file, read)
    size = file.stat().st_size
    if is_whole:
        return Sample(read, b"", True, len(read))
    if compression is None:
        middle = _bytes_at(file, max(head_bytes, size // 2), MIDDLE_BYTES)
        return Sample(read, middle, False, size)
    piece = read[:_RATIO_BYTES]
    return Sample(read, b"", False, round(size * len(piece) / len(zlib.compress(piece))))


def _require_text(file: Path, head: bytes) -> None:
    if not head.strip():
        raise DataError(f"{file}: the file is empty.")
    found = other_format(file, head[:START_BYTES])
    if found is not None:
        advice = found.advice.replace("{format}", "format")
        raise DataError(f"{file}: wanted CSV, TSV or Parquet, found {found.name}: {advice}.")


def _bytes_at(file: Path, start: int, count: int) -> bytes:
    try:
        with file.open("rb") as stream:
            stream.seek(start)
            return stream.read(count)
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror or error}.") from None
