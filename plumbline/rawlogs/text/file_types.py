"""Recognizes a file by its first bytes: its compression, or a format other than text."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

from plumbline.base.json_text import parse_json

START_BYTES = 64 << 10
"""The size of the part that is examined."""

_COMPRESSIONS = {
    b"\x1f\x8b\x08": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\xfd7zXZ\x00": "xz",
    b"\x04\x22\x4d\x18": "lz4",
}
_BZIP2_BLOCKS = (b"1AY&SY", b"\x17rE8P\x90")


@dataclass(frozen=True, slots=True)
class OtherFormat:
    """A format other than text, and how to turn the file into a log."""

    name: str
    advice: str


_EXPORT = "export it as CSV or Parquet"
_UNPACK = "unpack it first"
_PYTHON = "write it as CSV or Parquet with the library that made it"

PARQUET = OtherFormat("a Parquet file", "set {format}: parquet")

_MAGIC: tuple[tuple[bytes, OtherFormat], ...] = (
    (b"PAR1", PARQUET),
    (b"PARE", OtherFormat("an encrypted Parquet file", "decrypt it first")),
    (b"ORC", OtherFormat("an ORC file", "write it as Parquet")),
    (b"Obj\x01", OtherFormat("an Avro file", "write it as Parquet")),
    (b"ARROW1", OtherFormat("an Arrow (Feather) file", "write it as Parquet")),
    (b"FEA1", OtherFormat("a Feather file", "write it as Parquet")),
    (b"\xff\xff\xff\xff", OtherFormat("an Arrow stream", "write it as Parquet")),
    (b"7z\xbc\xaf\x27\x1c", OtherFormat("a 7z archive", _UNPACK)),
    (b"Rar!\x1a\x07", OtherFormat("a RAR archive", _UNPACK)),
    (
        b"\x1f\x9d",
        OtherFormat("a file packed by compress", "unpack it first, with uncompress"),
    ),
    (b"\xff\x06\x00\x00sNaPpY", OtherFormat("a Snappy stream", _UNPACK)),
    (
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        OtherFormat("an Excel or other Office file", _EXPORT),
    ),
    (
        b"SQLite format 3\x00",
        OtherFormat("an SQLite database", "export the table as CSV or Parquet"),
    ),
    (b"\x93NUMPY", OtherFormat("a NumPy array", _PYTHON)),
    (b"\x89HDF\r\n\x1a\n", OtherFormat("an HDF5 file", _PYTHON)),
    (b"MATLAB ", OtherFormat("a MATLAB file", _EXPORT)),
    (b"RDX", OtherFormat("an R data file", _EXPORT)),
    (b"<stata_dta>", OtherFormat("a Stata file", _EXPORT)),
    (b"$FL2", OtherFormat("an SPSS file", _EXPORT)),
    (b"%PDF-", OtherFormat("a PDF document", "give the table as CSV or Parquet")),
    (b"%!PS", OtherFormat("a PostScript document", "give the table as CSV or Parquet")),
    (b"\x89PNG\r\n\x1a\n", OtherFormat("a PNG image", "give only the log's files")),
    (b"\xff\xd8\xff", OtherFormat("a JPEG image", "give only the log's files")),
    (b"GIF87a", OtherFormat("a GIF image", "give only the log's files")),
    (b"GIF89a", OtherFormat("a GIF image", "give only the log's files")),
    (b"\x7fELF", OtherFormat("a program", "give only the log's files")),
    (
        b"version https://git-lfs.github.com/spec/",
        OtherFormat("a Git LFS pointer, not the file itself", "fetch the file with git lfs pull"),
    ),
)
_WRITTEN = (b"<stata_dta>", b"%PDF-", b"%!PS", b"version https://git-lfs.github.com/spec/")
"""Marks that are text themselves, so no binary bytes need to follow."""
_ARCHIVE = OtherFormat("a zip archive", "unpack it first, with unzip")
_ARCHIVED = (
    ("xl/", OtherFormat("an Excel workbook", "export it as CSV")),
    ("word/", OtherFormat("a Word document", _EXPORT)),
    ("content.xml", OtherFormat("an OpenDocument file", "export it as CSV")),
)
_TAR = OtherFormat("a tar archive", "unpack it first, with tar")
_PICKLE = OtherFormat("a Python pickle", _PYTHON)
_JSON = OtherFormat("JSON", "write it as CSV or Parquet")
_HTML = OtherFormat("an HTML page", "check the download; wanted the data itself")
_XML = OtherFormat("XML", "write it as CSV or Parquet")
_PICKLE_PROTOCOLS = (2, 3, 4, 5)
_FRAMED_PICKLE = 4


def compression_of(start: bytes) -> str | None:
    """gzip, zstd, bz2, xz or lz4; None if the file is not compressed."""
    if start.startswith(b"BZh") and start[4:10] in _BZIP2_BLOCKS:
        return "bz2"
    return next((name for mark, name in _COMPRESSIONS.items() if start.startswith(mark)), None)


def other_format(file: Path, start: bytes) -> OtherFormat | None:
    """The file's format; None if it may be text. `start` has its first bytes, decompressed."""
    if start.startswith(b"PK\x03\x04") or start.startswith(b"PK\x05\x06"):
        return _zipped(file)
    if start[257:262] == b"ustar":
        return _TAR
    if start[8:12] == b"DUCK":
        return OtherFormat("a DuckDB database", "export the table as CSV or Parquet")
    if _is_pickle(start):
        return _PICKLE
    for mark, kind in _MAGIC:
        if start.startswith(mark) and (mark in _WRITTEN or _is_binary(start)):
            return kind
    return _marked_up(start)


def _is_binary(start: bytes) -> bool:
    """Whether the first bytes include some that ASCII text does not have."""
    return any(byte < ord("\t") or byte > 127 for byte in start[:512])


def _is_pickle(start: bytes) -> bool:
    if start[:1] != b"\x80" or len(start) < 3 or start[1] not in _PICKLE_PROTOCOLS:
        return False
    return start[1] < _FRAMED_PICKLE or start[2:3] == b"\x95"


def _zipped(file: Path) -> OtherFormat:
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return _ARCHIVE
    if names and all(name.endswith(".npy") for name in names):
        return OtherFormat("a NumPy archive", _PYTHON)
    for mark, kind in _ARCHIVED:
        if any(name.startswith(mark) for name in names):
            return kind
    return _ARCHIVE


def _marked_up(start: bytes) -> OtherFormat | None:
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    head = text[:16].lower()
    if head.startswith((b"<!doctype html", b"<html")):
        return _HTML
    if head.startswith(b"<?xml"):
        return _XML
    return _JSON if _is_json(text) else None


def _is_json(text: bytes) -> bool:
    """Whether the first line is a JSON object, or opens one or a list of them."""
    line, inner = text.partition(b"\n")[0].strip(), text[1:].lstrip()
    if text[:1] == b"[":
        return inner.startswith(b"{") and inner[1:].lstrip()[:1] in (b'"', b"}")
    if text[:1] != b"{":
        return False
    if line == b"{":
        return inner.startswith(b'"')
    try:
        return isinstance(parse_json(line), dict)
    except ValueError:
        return False
