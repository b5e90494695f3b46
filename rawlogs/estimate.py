"""How many rows a log has, about, without reading it all: for the time left on a progress bar."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from features.settings import Log
from rawlogs.blocks import COMPRESSIONS, RawBlock, read_blocks

SAMPLE_BYTES = 1 << 20


def estimated_rows(log: Log, files: Sequence[Path]) -> int | None:
    """Exact for Parquet; for text from the first MiB of each file; None where it cannot be read."""
    try:
        count = _parquet_rows if log.format == "parquet" else _text_rows
        return sum(count(file) for file in files)
    except (OSError, pa.ArrowException):
        return None


def _parquet_rows(file: Path) -> int:
    return int(pq.read_metadata(file).num_rows)


def _text_rows(file: Path) -> int:
    sample = _sample(file)
    if sample is None:
        return 0
    is_compressed = file.suffix in COMPRESSIONS
    sample_bytes = len(zlib.compress(sample.text)) if is_compressed else len(sample.text)
    return round(sample.count_lines() * file.stat().st_size / sample_bytes)


def bytes_of_rows(file: Path, rows: int) -> int:
    """How many bytes of (decompressed) text that many rows take, about; 0 in an empty file."""
    sample = _sample(file)
    return 0 if sample is None else round(rows * len(sample.text) / sample.count_lines())


def _sample(file: Path) -> RawBlock | None:
    return next(read_blocks(file, SAMPLE_BYTES), None)
