"""Opens a text file as a stream: decompressed, in an encoding in which a newline is one byte.

Compression and encoding are detected from the first bytes; the file's name does not matter.
"""

from __future__ import annotations

import bz2
import codecs
import lzma
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa

from plumbline.base.errors import DataError
from plumbline.rawlogs.text.file_types import (
    START_BYTES,
    OtherFormat,
    compression_of,
    other_format,
)
from plumbline.rawlogs.text.headers import setting
from plumbline.settings import Table

UTF_8 = "utf-8"

_CHUNK_BYTES = 1 << 20
_LINE_FEED, _CARRIAGE_RETURN = ord("\n"), ord("\r")
_WIDE = ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be")
_MARKS = (  # UTF-32's mark begins with UTF-16's
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_FEW, _MOST = 0.1, 0.6
"""Bounds of a byte position's share of zeros; text in other scripts also has some ASCII."""
FAILURES = (OSError, EOFError, lzma.LZMAError, pa.ArrowException, UnicodeError)
"""Exceptions while a damaged file is read."""


class ByteStream(Protocol):
    """A readable stream."""

    def readinto(self, view: memoryview, /) -> int | None: ...


@dataclass(frozen=True, slots=True)
class TextFormat:
    """Compression, encoding and line ends of a text file.

    `encoding` is that of the stream of `open_text`: UTF-8, or a one-byte encoding that extends
    ASCII. `decoded` is the file's encoding if the stream converts it to UTF-8.
    """

    compression: str | None
    encoding: str
    decoded: str | None = None
    carriage_returns: bool = False
    """Whether lines end in a carriage return only."""

    @property
    def is_plain(self) -> bool:
        """Whether the stream has the bytes of the file, so reading can start at any offset."""
        return self.compression is None and self.decoded is None and not self.carriage_returns

    @classmethod
    def of(cls, file: Path, table: Table) -> TextFormat:
        """Raises DataError if the file cannot be read or is not text."""
        try:
            with file.open("rb") as stream:
                compression = compression_of(stream.read(16))
            with unpacked(file, compression) as stream:
                start = _start(stream)
        except FAILURES as error:
            raise unreadable(file, compression_name(file), error) from None
        decoded = _decoded(file, table, start)
        found = other_format(file, start) if decoded is None else None
        if (inner := compression_of(start)) is not None and compression is not None:
            found = OtherFormat(f"{inner} inside {compression}, packed twice", "unpack it once")
        if found is not None:
            advice = found.advice.format(format=setting(table, "format"))
            raise DataError(f"{file} is {found.name}; wanted CSV or other text: {advice}.")
        encoding = table.encoding
        if decoded is not None:
            decoder = codecs.getincrementaldecoder(decoded)("replace")
            start, encoding = decoder.decode(start).encode(UTF_8, "replace"), UTF_8
        return cls(compression, encoding, decoded, _ends_in_carriage_returns(start, table.quote))


@contextmanager
def open_text(file: Path, text_format: TextFormat) -> Iterator[ByteStream]:
    """Raises one of `FAILURES` if the file cannot be opened or, later, read."""
    with unpacked(file, text_format.compression) as stream:
        text: ByteStream = stream
        if text_format.decoded is not None:
            text = _Decoded(text, text_format.decoded)
        if text_format.carriage_returns:
            text = _UnixLines(text)
        yield text


def unreadable(file: Path, compression: str | None, error: Exception) -> DataError:
    kind = f" as {compression}" if compression else ""
    reason = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, UnicodeError):
        return DataError(f"{file}: ends in the middle of a character, or is damaged: {reason}.")
    return DataError(f"{file}: cannot be read{kind}: {reason}.")


def compression_name(file: Path) -> str | None:
    """The file's compression; None also if it cannot be read."""
    try:
        with file.open("rb") as stream:
            return compression_of(stream.read(16))
    except OSError:
        return None


@contextmanager
def unpacked(file: Path, compression: str | None) -> Iterator[ByteStream]:
    """The decompressed file; raises one of `FAILURES` as `open_text` does."""
    if compression == "xz":
        with lzma.open(file) as stream:
            yield stream
    elif compression == "bz2":  # Arrow stops after the first of several members
        with bz2.open(file) as stream:
            yield stream
    else:
        with pa.input_stream(str(file), compression=compression) as stream:
            yield stream


def _start(stream: ByteStream) -> bytes:
    start = bytearray(START_BYTES)
    return bytes(memoryview(start)[: fill(stream, start, 0)])


def fill(stream: ByteStream, text: bytearray, filled: int) -> int:
    """Read until `text` is full or the stream ends; returns the number of bytes filled."""
    with memoryview(text) as view:
        while filled < len(view):
            got = stream.readinto(view[filled:])
            if not got:
                break
            filled += got
    return filled


def _ends_in_carriage_returns(start: bytes, quote: str | None) -> bool:
    """Whether lines end in a carriage return only; quoted fields may have newlines."""
    if quote is not None and b"\r" in start and b"\n" in start:
        mark = re.escape(quote.encode())
        start = re.sub(mark + b"[^" + mark + b"]*" + mark, b"", start)
    return b"\r" in start[:-1] and b"\n" not in start


def is_utf_8(encoding: str) -> bool:
    return codecs.lookup(encoding).name in ("utf-8", "utf-8-sig", "ascii")


def _decoded(file: Path, table: Table, start: bytes) -> str | None:
    """The encoding, if the text must be converted to UTF-8 before lines are cut; else None."""
    declared = codecs.lookup(table.encoding).name
    marked = next((name for mark, name in _MARKS if start.startswith(mark)), None)
    if marked is not None:
        return marked
    if declared not in _WIDE:
        if (seen := _wide_by_zeros(start)) is not None:
            raise DataError(f"{file} is {seen} text: set {setting(table, 'encoding')}: {seen}.")
        plain = is_utf_8(declared) or (len(table.separator) == 1 and _is_bytewise(declared))
        return None if plain else declared
    if start and b"\0" not in start and start.removeprefix(codecs.BOM_UTF8)[:256].isascii():
        key = setting(table, "encoding")
        raise DataError(f"{file} is not {table.encoding} text: set {key}: utf-8.")
    if declared in ("utf-16", "utf-32"):
        return _wide_by_zeros(start) or f"{declared}-le"
    return declared


def _wide_by_zeros(start: bytes) -> str | None:
    """The encoding of mostly ASCII text in two or four bytes per character, by its zero bytes."""
    first = np.frombuffer(start[: len(start[:512]) // 4 * 4], np.uint8).reshape(-1, 4) == 0
    if len(first) == 0:
        return None
    shares = first.mean(axis=0)
    if ((shares > _FEW) & (shares < _MOST)).any():
        return None
    zeros = tuple((shares >= _MOST).tolist())
    encodings = {
        (False, True, False, True): "utf-16-le",
        (True, False, True, False): "utf-16-be",
        (False, True, True, True): "utf-32-le",
        (True, True, True, False): "utf-32-be",
    }
    return encodings.get(zeros)


def _is_bytewise(encoding: str) -> bool:
    """Whether each character is one byte."""
    every = bytes(range(256))
    return len(every.decode(encoding, "replace")) == len(every)


class _Decoded:
    """A stream converted to UTF-8; invalid characters become bytes that are not valid UTF-8."""

    def __init__(self, stream: ByteStream, encoding: str) -> None:
        self._errors = "surrogatepass" if encoding in _WIDE else "surrogateescape"
        self._decoder = codecs.getincrementaldecoder(encoding)(self._errors)
        self._stream = stream
        self._rest = b""
        self._at_start = True
        self._at_end = False

    def readinto(self, view: memoryview, /) -> int:
        while not self._rest and not self._at_end:
            self._rest = self._next()
        got = min(len(view), len(self._rest))
        view[:got] = self._rest[:got]
        self._rest = self._rest[got:]
        return got

    def _next(self) -> bytes:
        chunk = bytearray(_CHUNK_BYTES)
        del chunk[fill(self._stream, chunk, 0) :]
        self._at_end = len(chunk) < _CHUNK_BYTES
        text = self._decoder.decode(bytes(chunk), self._at_end)
        if self._at_start:
            text, self._at_start = text.removeprefix("\ufeff"), not text
        return text.encode(UTF_8, self._errors)


class _UnixLines:
    """A stream with carriage returns replaced by newlines."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream

    def readinto(self, view: memoryview, /) -> int:
        got = self._stream.readinto(view) or 0
        text = np.frombuffer(view, np.uint8)[:got]
        text[text == _CARRIAGE_RETURN] = _LINE_FEED
        return got
