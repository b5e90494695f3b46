"""Estimates a log's number of rows from a part of it, for the progress bar."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from plumbline.rawlogs.text.blocks import TextBlock, read_blocks
from plumbline.rawlogs.text.quoting import Dialect
from plumbline.rawlogs.text.streams import TextFormat
from plumbline.settings import Log

SAMPLE_BYTES = 1 << 20


def estimated_rows(log: Log, files: Sequence[Path]) -> int | None:
    """Exact for Parquet, from the first MiB of each file for text; None if one is unreadable."""
    try:
        if log.format == "parquet":
            return sum(_parquet_rows(file) for file in files)
        return sum(_text_rows(log, file) for file in files)
    except (OSError, pa.ArrowException):
        return None


def _parquet_rows(file: Path) -> int:
    return int(pq.read_metadata(file).num_rows) if file.stat().st_size > 0 else 0


def _text_rows(log: Log, file: Path) -> int:
    text_format = TextFormat.of(file, log)
    sample = _sample(log, file, text_format)
    if sample is None:
        return 0
    sample_bytes = len(sample.text)
    if text_format.compression is not None:
        sample_bytes = len(zlib.compress(sample.text))
    elif text_format.decoded is not None:
        sample_bytes = len(
            sample.text.decode(errors="replace").encode(text_format.decoded, "replace")
        )
    return round(sample.count_lines() * file.stat().st_size / sample_bytes)


def bytes_of_rows(log: Log, file: Path, rows: int) -> int:
    """An estimate of the bytes of decompressed text in that many rows; 0 for an empty file."""
    sample = _sample(log, file, TextFormat.of(file, log))
    return 0 if sample is None else round(rows * len(sample.text) / sample.count_lines())


def _sample(log: Log, file: Path, text_format: TextFormat) -> TextBlock | None:
    return next(read_blocks(file, text_format, Dialect.of(log), SAMPLE_BYTES), None)
