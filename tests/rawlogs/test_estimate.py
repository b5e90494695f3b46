import gzip
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from plumbline.rawlogs.estimate import bytes_of_rows, estimated_rows
from plumbline.settings import Log

CSV = Log(columns={"click": "label", "x": "continuous"}, header=False)


def lines(rows: int) -> bytes:
    values = np.random.default_rng(1).integers(0, 10**9, rows)
    return b"".join(b"1,%d\n" % value for value in values)


@pytest.mark.parametrize("rows", [1, 300_000])
def test_plain_text(tmp_path: Path, rows: int) -> None:
    file = tmp_path / "log.csv"
    file.write_bytes(lines(rows))
    assert estimated_rows(CSV, [file, file]) == pytest.approx(2 * rows, rel=0.02)


def test_compressed_text(tmp_path: Path) -> None:
    file = tmp_path / "log.csv.gz"
    file.write_bytes(gzip.compress(lines(300_000)))
    assert estimated_rows(CSV, [file]) == pytest.approx(300_000, rel=0.1)


def test_parquet_is_exact_and_a_damaged_file_has_no_estimate(tmp_path: Path) -> None:
    log = CSV.model_copy(update={"format": "parquet"})
    file = tmp_path / "log.parquet"
    pq.write_table(pa.table({"x": range(7)}), file)
    assert estimated_rows(log, [file]) == 7
    file.write_bytes(b"PAR1")
    assert estimated_rows(log, [file]) is None


def test_bytes_of_rows(tmp_path: Path) -> None:
    file = tmp_path / "log.csv.gz"
    file.write_bytes(gzip.compress(lines(300_000)))
    assert bytes_of_rows(CSV, file, 10_000) == pytest.approx(len(lines(10_000)), rel=0.02)
    file.write_bytes(gzip.compress(b""))
    assert bytes_of_rows(CSV, file, 10_000) == 0
