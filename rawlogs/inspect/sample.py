"""The bytes of a text file that are looked at: its beginning, and where it is cheap its middle."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pyarrow as pa

from features.errors import DataError

HEAD_BYTES = 48 << 20
MIDDLE_BYTES = 12 << 20

_FOREIGN = {
    b"PK\x03\x04": "a zip archive (or an Excel workbook): unpack it, or save it as CSV",
    b"\xd0\xcf\x11\xe0": "an Excel workbook: save it as CSV",
    b"%PDF": "a PDF document",
    b"SQLite format 3": "an SQLite database: write its table as CSV or Parquet",
    b"ORC": "an ORC file: write it as Parquet",
    b"Obj\x01": "an Avro file: write it as Parquet",
    b"ARROW1": "an Arrow IPC (Feather) file: write it as Parquet",
    b"\x89HDF": "an HDF5 file: write its table as CSV or Parquet",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive: unpack it",
    b"Rar!": "a RAR archive: unpack it",
}
_TAR_MARK = slice(257, 262)


@dataclass(frozen=True, slots=True)
class Sample:
    """`middle` is empty where the file was read to its end, or is compressed."""

    head: bytes
    middle: bytes
    is_whole: bool
    total_bytes: int
    """Of the text, estimated where the file is compressed and not read to its end."""


def is_parquet(file: Path) -> bool:
    return _first_bytes(file, 4) == b"PAR1"


def read_sample(file: Path, head_bytes: int = HEAD_BYTES) -> Sample:
    """Raises DataError where the file cannot be read, is empty, or is no text."""
    size = file.stat().st_size
    try:
        with file.open("rb") as raw, _opened(file, raw) as stream:
            head = _read(stream, head_bytes)
            is_whole = len(stream.read(1)) == 0
            read = raw.tell()
        is_plain = _compression(file) is None
        middle = _middle(file, size, len(head)) if is_plain and not is_whole else b""
    except (OSError, EOFError, zlib.error, lzma.LZMAError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{file}: cannot be read: {reason}.") from None
    _require_text(file, head)
    total = len(head) if is_whole else round(len(head) * max(1.0, size / max(read, 1)))
    return Sample(head, middle, is_whole, total)


def _require_text(file: Path, head: bytes) -> None:
    if not head.strip():
        raise DataError(f"{file}: the file is empty.")
    for mark, name in _FOREIGN.items():
        if head.startswith(mark):
            raise DataError(f"{file}: wanted CSV, TSV or Parquet, found {name}.")
    if head[_TAR_MARK] == b"ustar":
        raise DataError(f"{file}: wanted CSV, TSV or Parquet, found a tar archive: unpack it.")


def _first_bytes(file: Path, count: int) -> bytes:
    try:
        with file.open("rb") as stream:
            return stream.read(count)
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror or error}.") from None


def _compression(file: Path) -> str | None:
    first = _first_bytes(file, 6)
    marks = {b"\x1f\x8b": "gzip", b"BZh": "bz2", b"\xfd7zXZ\x00": "xz", b"\x28\xb5\x2f\xfd": "zstd"}
    return next((name for mark, name in marks.items() if first.startswith(mark)), None)


def _opened(file: Path, raw: IO[bytes]) -> Any:
    """A stream of the text, whatever compresses it."""
    compression = _compression(file)
    if compression == "gzip":
        return gzip.GzipFile(fileobj=raw)
    if compression == "bz2":
        return bz2.BZ2File(raw)
    if compression == "xz":
        return lzma.LZMAFile(raw)
    if compression == "zstd":
        return pa.CompressedInputStream(pa.PythonFile(raw, "r"), "zstd")
    return raw


def _read(stream: Any, wanted: int) -> bytes:
    pieces, left = [], wanted
    while left > 0 and (piece := stream.read(min(left, 4 << 20))):
        pieces.append(piece)
        left -= len(piece)
    return b"".join(pieces)


def _middle(file: Path, size: int, head: int) -> bytes:
    start = max(head, size // 2)
    with file.open("rb") as stream:
        stream.seek(start)
        return stream.read(MIDDLE_BYTES)
