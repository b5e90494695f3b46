"""Decodes blocks of text to UTF-8; rows that are not valid in their encoding become faults."""

from __future__ import annotations

import codecs
from dataclasses import replace

import numpy as np

from plumbline.rawlogs.malformed import Fault
from plumbline.rawlogs.text.fields import TextRows
from plumbline.rawlogs.text.quoting import Dialect
from plumbline.rawlogs.text.streams import UTF_8


def decoded_rows(
    text: bytes | bytearray,
    first: int,
    encoding: str,
    declared: str,
    dialect: Dialect,
    faults: list[Fault],
) -> TextRows:
    """The rows of whole lines in UTF-8; `first` is the number of the first line.

    `encoding` is that of the bytes, `declared` the one in messages.
    """
    is_utf8 = text.isascii() or codecs.lookup(encoding).name in ("utf-8", "utf-8-sig")
    encoding = UTF_8 if is_utf8 else encoding
    try:
        decoded = None if text.isascii() else text.decode(encoding)
    except UnicodeDecodeError:
        return _good_rows(TextRows.of(text, first, dialect), encoding, declared, faults)
    if is_utf8 or decoded is None:
        return TextRows.of(text, first, dialect)
    return TextRows.of(decoded.encode(), first, dialect)


def _good_rows(rows: TextRows, encoding: str, declared: str, faults: list[Fault]) -> TextRows:
    high = rows.count(np.flatnonzero(np.frombuffer(rows.text, np.uint8) > 127)) > 0
    good = np.ones(len(rows), bool)
    bounds = zip(rows.starts.tolist(), rows.ends.tolist(), strict=True)
    texts = []
    for row, (start, end) in enumerate(bounds):
        line = bytes(memoryview(rows.text)[start:end])
        try:
            texts.append(line.decode(encoding).encode() if high[row] else line)
        except UnicodeDecodeError as error:
            good[row] = False
            got = line[error.start : error.end]
            number = int(rows.numbers[row]) + line.count(b"\n", 0, error.start)
            position = error.start - line.rfind(b"\n", 0, error.start)
            reason = f"wanted {declared} text, found {got!r} at byte {position}"
            faults.append(Fault(number, reason, "log.encoding names another encoding"))
    rows = rows.keep(good)
    return rows if encoding == UTF_8 else _rewritten(rows, texts)


def _rewritten(rows: TextRows, texts: list[bytes]) -> TextRows:
    """The rows with other texts, which may have another number of bytes."""
    lengths = np.array([len(text) for text in texts], np.int64)
    ends = np.cumsum(lengths + 1) - 1
    faults = {
        row: replace(fault, position=int(ends[row] - lengths[row]))
        for row, fault in rows.faults.items()
    }
    text = b"\n".join(texts) + b"\n"
    return TextRows(text, ends - lengths, ends, rows.numbers, faults)
