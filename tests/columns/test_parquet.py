"""Rows of Parquet files with several row groups, with one, and with none."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from plumbline.columns.parquet import read_batches, read_columns

ROOT = Path(__file__).parents[2]
TABLE = pa.table({"a": pa.array([1, None, 3]), "b": ["x", "y", None], "c": [[1], [], [2, 3]]})


@pytest.fixture(params=[(), (3,), (1, 2)], ids=str)
def groups(request, tmp_path: Path) -> tuple[Path, pa.Table]:
    """A file with row groups of these sizes, and its rows."""
    start = 0
    with pq.ParquetWriter(tmp_path / "x.parquet", TABLE.schema) as writer:
        for rows in request.param:
            writer.write_table(TABLE.slice(start, rows))
            start += rows
    return tmp_path / "x.parquet", TABLE.slice(0, start)


def test_columns(groups: tuple[Path, pa.Table]) -> None:
    file, rows = groups
    with pq.ParquetFile(file) as parquet:
        assert read_columns(parquet, ["c", "a"]).equals(rows.select(["c", "a"]))
        assert read_columns(parquet, {"b": 1}).equals(rows.select(["b"]))
        assert read_columns(parquet).equals(rows)
        with pytest.raises(KeyError, match="d"):
            read_columns(parquet, ["a", "d"])


def test_batches(groups: tuple[Path, pa.Table]) -> None:
    file, rows = groups
    with pq.ParquetFile(file) as parquet:
        for names in (None, ["b"]):
            batches = list(read_batches(parquet, 2, names))
            wanted = rows.select(names or rows.column_names)
            assert pa.Table.from_batches(batches, wanted.schema).equals(wanted)
            assert all(0 < len(batch) <= 2 for batch in batches)


def test_it_does_not_import_pandas(groups: tuple[Path, pa.Table]) -> None:
    script = (
        "import sys, pyarrow.parquet as pq; from plumbline.columns.parquet import read_columns; "
        f"read_columns(pq.ParquetFile({str(groups[0])!r}), ['a', 'b', 'c']); "
        "sys.exit('pandas' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_no_other_module_reads_all_row_groups_of_an_open_file() -> None:
    """`iter_batches` without row groups, and `read`, fail on a file that has none."""
    for file in (ROOT / "plumbline").rglob("*.py"):
        if file == ROOT / "plumbline" / "columns" / "parquet.py":
            continue
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                named = {keyword.arg for keyword in node.keywords}
                assert node.func.attr != "iter_batches" or "row_groups" in named, file
                assert ast.unparse(node.func) != "parquet.read", file
