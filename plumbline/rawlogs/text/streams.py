"""A text file's bytes as a stream: unpacked, and in an encoding whose lines end in one byte.

How a file is packed and encoded is found once, from its first bytes. What it is named does not
matter.
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
from plumbline.rawlogs.text.file_forms import START_BYTES, Foreign, compression_of, foreign
from plumbline.rawlogs.text.headers import setting
from plumbline.settings import Table

UTF_8 = "utf-8"

_CHUNK_BYTES = 1 << 20
_LINE_FEED, _CARRIAGE_RETURN = ord("\n"), ord("\r")
_WIDE = ("utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be")
_MARKS = (  # that of UTF-32 begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_FEW, _MOST = 0.1, 0.6
"""Shares of characters: text of other letters holds blanks, digits and separators too."""
FAILURES = (OSError, EOFError, lzma.LZMAError, pa.ArrowException, UnicodeError)
"""What reading a damaged file raises."""


class ByteStream(Protocol):
    """What is read from."""

    def readinto(self, view: memoryview, /) -> int | None: ...


@dataclass(frozen=True, slots=True)
class TextForm:
    """How a file's text is kept.

    `encoding` is that of the bytes that `open_text` gives: UTF-8, or one in which a character is a
    byte and ASCII is a part. `decoded` is the encoding that is turned into UTF-8 on the way.
    """

    compression: str | None
    encoding: str
    decoded: str | None = None
    carriage_returns: bool = False
    """Whether lines end in a carriage return alone."""

    @property
    def is_plain(self) -> bool:
        """Whether the stream's bytes are those of the file, so that it may begin anywhere."""
        return self.compression is None and self.decoded is None and not self.carriage_returns

    @classmethod
    def of(cls, file: Path, table: Table) -> TextForm:
        """Raises DataError where the file cannot be read, or is no text."""
        try:
            with file.open("rb") as stream:
                compression = compression_of(stream.read(16))
            with unpacked(file, compression) as stream:
                start = _start(stream)
        except FAILURES as error:
            raise unreadable(file, compression_name(file), error) from None
        decoded = _decoded(file, table, start)
        found = foreign(file, start) if decoded is None else None
        if (inner := compression_of(start)) is not None and compression is not None:
            found = Foreign(f"{inner} inside {compression}, packed twice", "unpack it once")
        if found is not None:
            advice = found.advice.format(format=setting(table, "format"))
            raise DataError(f"{file} is {found.name}; wanted CSV or other text: {advice}.")
        encoding = table.encoding
        if decoded is not None:
            decoder = codecs.getincrementaldecoder(decoded)("replace")
            start, encoding = decoder.decode(start).encode(UTF_8, "replace"), UTF_8
        return cls(compression, encoding, decoded, _is_classic(start, table.quote))


@contextmanager
def open_text(file: Path, form: TextForm) -> Iterator[ByteStream]:
    """Raises one of `FAILURES` where the file cannot be read, here or as it is read."""
    with unpacked(file, form.compression) as stream:
        text: ByteStream = stream
        if form.decoded is not None:
            text = _Decoded(text, form.decoded)
        if form.carriage_returns:
            text = _UnixLines(text)
        yield text


def unreadable(file: Path, compression: str | None, error: Exception) -> DataError:
    form = f" as {compression}" if compression else ""
    reason = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, UnicodeError):
        return DataError(f"{file}: ends in the middle of a character, or is damaged: {reason}.")
    return DataError(f"{file}: cannot be read{form}: {reason}.")


def compression_name(file: Path) -> str | None:
    """How the file is packed; None too where it cannot be read."""
    try:
        with file.open("rb") as stream:
            return compression_of(stream.read(16))
    except OSError:
        return None


@contextmanager
def unpacked(file: Path, compression: str | None) -> Iterator[ByteStream]:
    """The file's bytes; raises one of `FAILURES` as `open_text` does."""
    if compression == "xz":
        with lzma.open(file) as stream:
            yield stream
    elif compression == "bz2":  # Arrow's stream ends at the first of several members
        with bz2.open(file) as stream:
            yield stream
    else:
        with pa.input_stream(str(file), compression=compression) as stream:
            yield stream


def _start(stream: ByteStream) -> bytes:
    start = bytearray(START_BYTES)
    return bytes(memoryview(start)[: fill(stream, start, 0)])


def fill(stream: ByteStream, text: bytearray, filled: int) -> int:
    """Read until `text` is full or the stream ends; how much of it is filled then."""
    with memoryview(text) as view:
        while filled < len(view):
            got = stream.readinto(view[filled:])
            if not got:
                break
            filled += got
    return filled


def _is_classic(start: bytes, quote: str | None) -> bool:
    """Whether lines end in a carriage return alone; in quoted fields there may be others."""
    if quote is not None and b"\r" in start and b"\n" in start:
        mark = re.escape(quote.encode())
        start = re.sub(mark + b"[^" + mark + b"]*" + mark, b"", start)
    return b"\r" in start[:-1] and b"\n" not in start


def is_utf_8(encoding: str) -> bool:
    return codecs.lookup(encoding).name in ("utf-8", "utf-8-sig", "ascii")


def _decoded(file: Path, table: Table, start: bytes) -> str | None:
    """The encoding that has to be turned into UTF-8 before lines can be cut; None where none."""
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
        raise DataError(f"{file} is no {table.encoding} text: set {key}: utf-8.")
    if declared in ("utf-16", "utf-32"):
        return _wide_by_zeros(start) or f"{declared}-le"
    return declared


def _wide_by_zeros(start: bytes) -> str | None:
    """The encoding of text that is mostly ASCII and whose characters take two or four bytes."""
    first = np.frombuffer(start[: len(start[:512]) // 4 * 4], np.uint8).reshape(-1, 4) == 0
    if len(first) == 0:
        return None
    shares = first.mean(axis=0)
    if ((shares > _FEW) & (shares < _MOST)).any():
        return None
    zeros = tuple((shares >= _MOST).tolist())
    forms = {
        (False, True, False, True): "utf-16-le",
        (True, False, True, False): "utf-16-be",
        (False, True, True, True): "utf-32-le",
        (True, True, True, False): "utf-32-be",
    }
    return forms.get(zeros)


def _is_bytewise(encoding: str) -> bool:
    """Whether each character is one byte."""
    every = bytes(range(256))
    return len(every.decode(encoding, "replace")) == len(every)


class _Decoded:
    """A stream turned into UTF-8; what is no character becomes bytes that are none of UTF-8."""

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
    """A stream whose carriage returns become line ends."""

    def __init__(self, stream: ByteStream) -> None:
        self._stream = stream

    def readinto(self, view: memoryview, /) -> int:
        got = self._stream.readinto(view) or 0
        text = np.frombuffer(view, np.uint8)[:got]
        text[text == _CARRIAGE_RETURN] = _LINE_FEED
        return got
