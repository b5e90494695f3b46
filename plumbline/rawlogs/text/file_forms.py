"""What a file is, by its first bytes: how it is compressed, or what else it is than text."""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

START_BYTES = 64 << 10
"""How much of a file's beginning is looked at."""

_COMPRESSIONS = {
    b"\x1f\x8b\x08": "gzip",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\xfd7zXZ\x00": "xz",
    b"\x04\x22\x4d\x18": "lz4",
}
_BZIP2_BLOCKS = (b"1AY&SY", b"\x17rE8P\x90")


@dataclass(frozen=True, slots=True)
class Foreign:
    """What a file is that is no text, and how to make a log of it."""

    name: str
    advice: str


_EXPORT = "export it as CSV or Parquet"
_UNPACK = "unpack it first"
_PYTHON = "write it as CSV or Parquet with the library that made it"

PARQUET = Foreign("a Parquet file", "set {format}: parquet")

_MAGIC: tuple[tuple[bytes, Foreign], ...] = (
    (b"PAR1", PARQUET),
    (b"PARE", Foreign("an encrypted Parquet file", "decrypt it first")),
    (b"ORC", Foreign("an ORC file", "write it as Parquet")),
    (b"Obj\x01", Foreign("an Avro file", "write it as Parquet")),
    (b"ARROW1", Foreign("an Arrow (Feather) file", "write it as Parquet")),
    (b"FEA1", Foreign("a Feather file", "write it as Parquet")),
    (b"\xff\xff\xff\xff", Foreign("an Arrow stream", "write it as Parquet")),
    (b"7z\xbc\xaf\x27\x1c", Foreign("a 7z archive", _UNPACK)),
    (b"Rar!\x1a\x07", Foreign("a RAR archive", _UNPACK)),
    (b"\x1f\x9d", Foreign("a file packed by compress", "unpack it first, with uncompress")),
    (b"\xff\x06\x00\x00sNaPpY", Foreign("a Snappy stream", _UNPACK)),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", Foreign("an Excel or other Office file", _EXPORT)),
    (b"SQLite format 3\x00", Foreign("an SQLite database", "export the table as CSV or Parquet")),
    (b"\x93NUMPY", Foreign("a NumPy array", _PYTHON)),
    (b"\x89HDF\r\n\x1a\n", Foreign("an HDF5 file", _PYTHON)),
    (b"MATLAB ", Foreign("a MATLAB file", _EXPORT)),
    (b"RDX", Foreign("an R data file", _EXPORT)),
    (b"<stata_dta>", Foreign("a Stata file", _EXPORT)),
    (b"$FL2", Foreign("an SPSS file", _EXPORT)),
    (b"%PDF-", Foreign("a PDF document", "give the table as CSV or Parquet")),
    (b"%!PS", Foreign("a PostScript document", "give the table as CSV or Parquet")),
    (b"\x89PNG\r\n\x1a\n", Foreign("a PNG image", "give the log's files alone")),
    (b"\xff\xd8\xff", Foreign("a JPEG image", "give the log's files alone")),
    (b"GIF87a", Foreign("a GIF image", "give the log's files alone")),
    (b"GIF89a", Foreign("a GIF image", "give the log's files alone")),
    (b"\x7fELF", Foreign("a program", "give the log's files alone")),
    (
        b"version https://git-lfs.github.com/spec/",
        Foreign("a Git LFS pointer, not the file itself", "fetch the file with git lfs pull"),
    ),
)
_WRITTEN = (b"<stata_dta>", b"%PDF-", b"%!PS", b"version https://git-lfs.github.com/spec/")
"""Marks in front of what is, or may be, text all the same."""
_ARCHIVE = Foreign("a zip archive", "unpack it first, with unzip")
_ARCHIVED = (
    ("xl/", Foreign("an Excel workbook", "export it as CSV")),
    ("word/", Foreign("a Word document", _EXPORT)),
    ("content.xml", Foreign("an OpenDocument file", "export it as CSV")),
)
_TAR = Foreign("a tar archive", "unpack it first, with tar")
_PICKLE = Foreign("a Python pickle", _PYTHON)
_JSON = Foreign("JSON", "write it as CSV or Parquet")
_HTML = Foreign("an HTML page", "check where the file came from; wanted the data itself")
_XML = Foreign("XML", "write it as CSV or Parquet")
_PICKLE_PROTOCOLS = (2, 3, 4, 5)
_FRAMED_PICKLE = 4


def compression_of(start: bytes) -> str | None:
    """gzip, zstd, bz2, xz or lz4; None where the file is not compressed."""
    if start.startswith(b"BZh") and start[4:10] in _BZIP2_BLOCKS:
        return "bz2"
    return next((name for mark, name in _COMPRESSIONS.items() if start.startswith(mark)), None)


def foreign(file: Path, start: bytes) -> Foreign | None:
    """What the file is, where it is none of text; `start` are its first bytes, unpacked."""
    if start.startswith(b"PK\x03\x04") or start.startswith(b"PK\x05\x06"):
        return _zipped(file)
    if start[257:262] == b"ustar":
        return _TAR
    if start[8:12] == b"DUCK":
        return Foreign("a DuckDB database", "export the table as CSV or Parquet")
    if _is_pickle(start):
        return _PICKLE
    for mark, kind in _MAGIC:
        if start.startswith(mark) and (mark in _WRITTEN or _is_binary(start)):
            return kind
    return _marked_up(start)


def _is_binary(start: bytes) -> bool:
    """Whether there are bytes among the first ones that text does not have."""
    return any(byte < ord("\t") or byte > 127 for byte in start[:512])


def _is_pickle(start: bytes) -> bool:
    if start[:1] != b"\x80" or len(start) < 3 or start[1] not in _PICKLE_PROTOCOLS:
        return False
    return start[1] < _FRAMED_PICKLE or start[2:3] == b"\x95"


def _zipped(file: Path) -> Foreign:
    try:
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return _ARCHIVE
    if names and all(name.endswith(".npy") for name in names):
        return Foreign("a NumPy archive", _PYTHON)
    for mark, kind in _ARCHIVED:
        if any(name.startswith(mark) for name in names):
            return kind
    return _ARCHIVE


def _marked_up(start: bytes) -> Foreign | None:
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    head = text[:16].lower()
    if head.startswith((b"<!doctype html", b"<html")):
        return _HTML
    if head.startswith(b"<?xml"):
        return _XML
    return _JSON if _is_json(text) else None


def _is_json(text: bytes) -> bool:
    """Whether the first line is a JSON object, or opens one or a list of them."""
    line, behind = text.partition(b"\n")[0].strip(), text[1:].lstrip()
    if text[:1] == b"[":
        return behind.startswith(b"{") and behind[1:].lstrip()[:1] in (b'"', b"}")
    if text[:1] != b"{":
        return False
    if line == b"{":
        return behind.startswith(b'"')
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False
