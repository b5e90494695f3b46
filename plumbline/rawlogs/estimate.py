"""How many rows a log has, about, without reading it all: for the time left on a progress bar."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from plumbline.rawlogs.text.blocks import TextBlock, read_blocks
from plumbline.rawlogs.text.quoting import Dialect
from plumbline.rawlogs.text.streams import TextForm
from plumbline.settings import Log

SAMPLE_BYTES = 1 << 20


def estimated_rows(log: Log, files: Sequence[Path]) -> int | None:
    """Exact for Parquet; for text from the first MiB of each file; None where it cannot be read."""
    try:
        if log.format == "parquet":
            return sum(_parquet_rows(file) for file in files)
        return sum(_text_rows(log, file) for file in files)
    except (OSError, pa.ArrowException):
        return None


def _parquet_rows(file: Path) -> int:
    return int(pq.read_metadata(file).num_rows) if file.stat().st_size > 0 else 0


def _text_rows(log: Log, file: Path) -> int:
    form = TextForm.of(file, log)
    sample = _sample(log, file, form)
    if sample is None:
        return 0
    sample_bytes = len(sample.text)
    if form.compression is not None:
        sample_bytes = len(zlib.compress(sample.text))
    elif form.decoded is not None:
        sample_bytes = len(sample.text.decode(errors="replace").encode(form.decoded, "replace"))
    return round(sample.count_lines() * file.stat().st_size / sample_bytes)


def bytes_of_rows(log: Log, file: Path, rows: int) -> int:
    """How many bytes of (unpacked) text that many rows take, about; 0 in an empty file."""
    sample = _sample(log, file, TextForm.of(file, log))
    return 0 if sample is None else round(rows * len(sample.text) / sample.count_lines())


def _sample(log: Log, file: Path, form: TextForm) -> TextBlock | None:
    return next(read_blocks(file, form, Dialect.of(log), SAMPLE_BYTES), None)
