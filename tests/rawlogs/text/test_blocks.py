from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from plumbline.base.errors import DataError
from plumbline.rawlogs.malformed import Fault
from plumbline.rawlogs.raw_log import read_text
from plumbline.rawlogs.text import blocks
from plumbline.rawlogs.text.blocks import TextBlock, read_blocks
from plumbline.rawlogs.text.decoding import decoded_rows
from plumbline.rawlogs.text.quoting import Dialect
from plumbline.rawlogs.text.streams import TextFormat
from plumbline.settings import Table

TABLE = Table(columns={"y": "label"}, header=False)
PLAIN = Dialect.of(TABLE)


def blocks_of(file: Path, size: int = 1 << 20, table: Table = TABLE) -> Iterator[TextBlock]:
    return read_blocks(file, TextFormat.of(file, table), Dialect.of(table), size)


LINES = st.lists(st.binary(max_size=12).filter(lambda b: not {10, 13} & {*b}), max_size=12)


@given(
    lines=LINES,
    size=st.integers(1, 40),
    ending=st.sampled_from([b"\n", b"\r\n"]),
    end=st.booleans(),
)
def test_blocks_have_every_line_once_with_its_number(
    tmp_path_factory: pytest.TempPathFactory,
    lines: list[bytes],
    size: int,
    ending: bytes,
    end: bool,
) -> None:
    if lines and not end and not lines[-1]:
        lines = [*lines, b"x"]  # a blank line needs its ending
    file = tmp_path_factory.mktemp("blocks") / "log"
    file.write_bytes(ending.join(lines) + (ending if end and lines else b""))
    found, first = b"", 1
    for raw in read_blocks(file, TextFormat(None, "utf-8"), PLAIN, size):
        found += raw.text.replace(b"\r\n", b"\n")
        first += raw.count_lines()
        assert read_text(file, raw.start, raw.end) == raw.text
    assert found == b"".join(line + b"\n" for line in lines)
    assert first == len(lines) + 1


@pytest.mark.parametrize("suffix", [".gz", ".zst"])
def test_compressed_files(tmp_path: Path, suffix: str) -> None:
    text = b"".join(b"%d,abc\n" % i for i in range(10_000))
    packed = gzip.compress(text) if suffix == ".gz" else pa.compress(text, "zstd", asbytes=True)
    file = tmp_path / f"log{suffix}"
    file.write_bytes(packed)
    assert b"".join(block.text for block in blocks_of(file, 1000)) == text
    file.write_bytes(packed[:-20])
    with pytest.raises(DataError, match=rf"log\{suffix}: cannot be read as \w+: .*[Tt]runcated"):
        list(blocks_of(file))


def test_text_named_gz_is_text(tmp_path: Path) -> None:
    file = tmp_path / "log.gz"
    file.write_bytes(b"0,1,2\n")
    assert [block.text for block in blocks_of(file)] == [b"0,1,2\n"]


def test_a_file_without_line_ends_is_not_loaded_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "LONGEST_LINE_BYTES", 1 << 20)
    file = tmp_path / "log"
    file.write_bytes(b"one\n" + b"x" * (1 << 21))
    with pytest.raises(DataError, match=r"log:2: .*none ending within 1 MiB"):
        list(blocks_of(file, 1 << 16))


def test_undecodable_lines_become_faults() -> None:
    text, faults = b"ok\n\xff\xfe\nja\xc3\xa4\n", list[Fault]()
    rows = decoded_rows(text, 4, "utf-8", "utf-8", PLAIN, faults)
    assert [text[s:e].decode() for s, e in zip(rows.starts, rows.ends, strict=True)] == [
        "ok",
        "jaä",
    ]
    assert rows.numbers.tolist() == [4, 6]
    assert faults == [Fault(5, "wanted utf-8 text, found b'\\xff' at byte 1")]


def test_latin_1_becomes_utf_8() -> None:
    rows = decoded_rows("é\n".encode("latin-1"), 1, "latin-1", "latin-1", PLAIN, [])
    assert rows.text == "é\n".encode()
