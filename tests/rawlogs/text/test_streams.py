"""Text files of any compression and encoding; errors for other formats."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import lzma
import sqlite3
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.feather
import pyarrow.orc
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plumbline.base.errors import DataError
from plumbline.rawlogs.malformed import Fault
from plumbline.rawlogs.raw_rows import read_raw_rows
from plumbline.rawlogs.text.streams import TextFormat
from plumbline.settings import Log, Table

COLUMNS = {"y": "label", "word": "string"}
ROWS = [("1", "a"), ("0", "Köln, ü"), ("1", None), ("0", "東京 𝄞")] * 50
TEXT = "y;word\n" + "".join(f"{y};{word or ''}\n" for y, word in ROWS)


def read(file: Path, **log: Any) -> tuple[list[tuple[str | None, ...]], list[Fault]]:
    table = Log.model_validate({"columns": COLUMNS, "separator": ";", **log})
    rows: list[tuple[str | None, ...]] = []
    faults: list[Fault] = []
    for raw in read_raw_rows(file, table, ["y", "word"], 300):
        rows += raw.columns.rows()
        faults += raw.faults
    return rows, faults


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zstd": lambda content: pa.compress(content, "zstd", asbytes=True),
    "lz4": lambda content: pa.compress(content, "lz4", asbytes=True),
}


@pytest.mark.parametrize("packed", PACKERS)
@pytest.mark.parametrize("name", ["log.csv", "log", "log.gz", "log.zip"])
def test_compressed_files_of_any_name(tmp_path: Path, packed: str, name: str) -> None:
    file, pack = tmp_path / name, PACKERS[packed]
    content = TEXT.encode()
    file.write_bytes(pack(content[:1000]) + pack(b"") + pack(content[1000:]))
    assert read(file) == (ROWS, [])


@pytest.mark.parametrize("packed", PACKERS)
@pytest.mark.parametrize("left", [0.3, 0.97])
def test_a_truncated_compressed_file(tmp_path: Path, packed: str, left: float) -> None:
    file = tmp_path / "log"
    noise = np.random.default_rng(1).integers(97, 122, 200_000).astype(np.uint8).tobytes()
    content = PACKERS[packed](
        b"y;word\n" + b"\n".join(noise[i : i + 50] for i in range(0, 9**5, 50))
    )
    file.write_bytes(content[: int(len(content) * left)])
    with pytest.raises(DataError, match=rf"log: cannot be read as {packed}: ") as raised:
        read(file)
    assert "\n" not in str(raised.value)


def test_a_compressed_file_with_damage_in_the_middle(tmp_path: Path) -> None:
    for packed in PACKERS:
        content = bytearray(PACKERS[packed](np.random.default_rng(1).bytes(300_000)))
        content[len(content) // 2 :] = b"\0" * (len(content) - len(content) // 2)
        file = tmp_path / packed
        file.write_bytes(content)
        with pytest.raises(DataError, match=packed):
            read(file)


WIDE = ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "utf-32-be"]


@pytest.mark.parametrize("encoding", WIDE)
@pytest.mark.parametrize("ending", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("packed", ["", "gzip"])
def test_wide_encodings(tmp_path: Path, encoding: str, ending: str, packed: str) -> None:
    file = tmp_path / "log"
    content = TEXT.replace("\n", ending).encode(encoding)
    file.write_bytes(PACKERS[packed](content) if packed else content)
    assert read(file, encoding=encoding) == (ROWS, [])


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
@pytest.mark.parametrize("declared", ["utf-8", "latin-1", "utf-16", "utf-8-sig"])
def test_a_byte_order_mark_decides_the_encoding(
    tmp_path: Path, encoding: str, declared: str
) -> None:
    file = tmp_path / "log"
    file.write_bytes(("\ufeff" + TEXT).encode(encoding))
    assert read(file, encoding=declared) == (ROWS, [])


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"])
def test_the_error_for_wide_text_names_its_encoding(tmp_path: Path, encoding: str) -> None:
    file = tmp_path / "log"
    file.write_bytes(TEXT.encode(encoding))
    with pytest.raises(DataError, match=f"log is {encoding} text: set log.encoding: {encoding}"):
        read(file)
    if encoding.startswith("utf-16"):
        assert read(file, encoding="utf-16") == (ROWS, [])


def test_narrow_text_declared_as_wide(tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.write_bytes(b"y;word\n1;a\n")
    with pytest.raises(DataError, match=r"log is not utf-16 text: set log\.encoding: utf-8"):
        read(file, encoding="utf-16")


def test_invalid_characters(tmp_path: Path) -> None:
    file = tmp_path / "log"
    lone = "y;word\n1;a\n0;".encode("utf-16") + b"\x00\xd8" + "b\n1;c\n".encode("utf-16-le")
    file.write_bytes(lone)
    rows, faults = read(file, encoding="utf-16")
    assert rows == [("1", "a"), ("1", "c")]
    assert [fault.line for fault in faults] == [3]
    assert faults[0].reason.startswith("wanted utf-16 text, found b")
    file.write_bytes(lone + b"x")
    with pytest.raises(DataError, match="ends in the middle of a character"):
        read(file, encoding="utf-16")


@pytest.mark.parametrize("encoding", ["gb18030", "big5", "shift_jis", "euc_kr", "cp1252", "koi8-r"])
def test_encodings_that_extend_ascii(tmp_path: Path, encoding: str) -> None:
    word = {"cp1252": "“é”", "koi8-r": "Москва", "euc_kr": "서울"}.get(encoding, "東京|~`")
    file = tmp_path / "log"
    file.write_bytes(f"y::word\n1::`{word}`\n0::\n".encode(encoding))
    rows, faults = read(file, encoding=encoding, separator="::", quote="`")
    kept = word.replace("`", "")
    expected = [("1", word), ("0", None)] if "`" not in word else rows
    assert kept in str(rows) or "`" in word
    assert (rows, faults) == (expected, [] if "`" not in word else faults)


def test_a_byte_order_mark_before_a_quoted_header(tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.write_bytes('\ufeff"y";"wo\nrd"\n1;"a"\n'.encode())
    table = Table(columns={"y": "label", "wo\nrd": "string"}, separator=";", quote='"')
    for size in (1, 7, 1000):
        found = [row for raw in read_raw_rows(file, table, ["y"], size) for row in raw.numbers]
        assert found == [3]


@settings(max_examples=60)
@given(
    words=st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=5), max_size=6),
    encoding=st.sampled_from(["utf-8", *WIDE]),
    packed=st.sampled_from(["", *PACKERS]),
    size=st.integers(1, 60),
)
def test_any_text_in_any_encoding(
    tmp_path_factory: pytest.TempPathFactory,
    words: list[str],
    encoding: str,
    packed: str,
    size: int,
) -> None:
    file = tmp_path_factory.mktemp("any") / "log"
    quoted = "".join('1;"{}"\n'.format(word.replace('"', '""')) for word in words)
    content = f"y;word\n0;x\n{quoted}".encode(encoding)
    file.write_bytes(PACKERS[packed](content) if packed else content)
    table = Table(columns=COLUMNS, separator=";", quote='"', encoding=encoding)
    rows = [row for raw in read_raw_rows(file, table, ["word"], size) for row in raw.columns.rows()]
    assert rows == [("x",), *((word or None,) for word in words)]


@pytest.mark.parametrize("header", [True, False])
def test_lines_that_end_in_carriage_returns_only(tmp_path: Path, header: bool) -> None:
    file = tmp_path / "log"
    text = TEXT if header else TEXT.partition("\n")[2]
    file.write_bytes(text.replace("\n", "\r").encode())
    assert read(file, header=header) == (ROWS, [])
    assert not TextFormat.of(file, Table(columns=COLUMNS)).is_plain


def packed_zip(names: list[str]) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name in names:
            archive.writestr(name, "content")
    return out.getvalue()


def packed_tar() -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("log.csv"))
    return out.getvalue()


def table_file(write: Callable[[pa.Table, Any], Any]) -> bytes:
    out = io.BytesIO()
    write(pa.table({"y": [0, 1], "word": ["a", "b"]}), out)
    return out.getvalue()


def arrow_stream(table: pa.Table, out: Any) -> None:
    with pa.ipc.new_stream(out, table.schema) as writer:
        writer.write_table(table)


def saved_array() -> bytes:
    out = io.BytesIO()
    np.save(out, np.zeros(3))
    return out.getvalue()


def saved_arrays() -> bytes:
    out = io.BytesIO()
    np.savez(out, x=np.zeros(3))
    return out.getvalue()


FOREIGN = {
    "Parquet": (lambda: table_file(pq.write_table), "set log.format: parquet"),
    "ORC": (lambda: table_file(pyarrow.orc.write_table), "Parquet"),
    "Arrow": (lambda: table_file(pyarrow.feather.write_feather), "Parquet"),
    "Arrow stream": (lambda: table_file(arrow_stream), "Parquet"),
    "Avro": (lambda: b"Obj\x01\x04\x14avro.codec\x08null", "Parquet"),
    "zip archive": (lambda: packed_zip(["log.csv"]), "unzip"),
    "Excel workbook": (
        lambda: packed_zip(["[Content_Types].xml", "xl/workbook.xml"]),
        "export it as CSV",
    ),
    "OpenDocument": (lambda: packed_zip(["mimetype", "content.xml"]), "export it as CSV"),
    "Excel or other": (lambda: b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 500, "CSV"),
    "tar archive": (packed_tar, "with tar"),
    "7z": (lambda: b"7z\xbc\xaf\x27\x1c\x00\x04", "unpack"),
    "RAR": (lambda: b"Rar!\x1a\x07\x01\x00", "unpack"),
    "JSON": (lambda: b'{"y": 1, "word": "a"}\n{"y": 0}\n', "CSV or Parquet"),
    "HTML page": (lambda: b"\n<!DOCTYPE html>\n<html></html>", "check the download"),
    "XML": (lambda: b"\xef\xbb\xbf<?xml version='1.0'?><a/>", "CSV"),
    "Python pickle": (lambda: b"\x80\x04\x95\x10\x00\x00\x00\x00\x00\x00\x00]\x94.", "CSV"),
    "NumPy array": (saved_array, "CSV"),
    "NumPy archive": (saved_arrays, "CSV"),
    "HDF5": (lambda: b"\x89HDF\r\n\x1a\n" + b"\0" * 90, "CSV"),
    "PDF": (lambda: b"%PDF-1.7\n", "CSV"),
    "PNG": (lambda: b"\x89PNG\r\n\x1a\n\0\0", "only the log's files"),
    "JPEG": (lambda: b"\xff\xd8\xff\xe0\0\x10JFIF", "only the log's files"),
    "Git LFS pointer": (lambda: b"version https://git-lfs.github.com/spec/v1\noid", "git lfs pull"),
}


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize("packed", ["", "gzip"])
def test_the_error_names_the_format(tmp_path: Path, name: str, packed: str) -> None:
    make, advice = FOREIGN[name]
    file = tmp_path / "log.csv"
    file.write_bytes(PACKERS[packed](make()) if packed else make())
    expected = "zip archive" if packed and make()[:2] == b"PK" else name
    with pytest.raises(DataError, match=expected) as raised:
        read(file)
    assert packed or advice in str(raised.value)
    assert "\n" not in str(raised.value)


def test_the_error_names_an_sqlite_database(tmp_path: Path) -> None:
    file = tmp_path / "log.db"
    connection = sqlite3.connect(file)
    connection.execute("create table log (y, word)")
    connection.commit()
    connection.close()
    with pytest.raises(DataError, match=r"log\.db is an SQLite database; wanted CSV"):
        read(file)


@pytest.mark.parametrize("pretty", [None, 1])
@pytest.mark.parametrize("content", [{"y": 1}, [{"y": 1}]])
def test_the_error_names_json(tmp_path: Path, content: Any, pretty: int | None) -> None:
    file = tmp_path / "log"
    file.write_text(json.dumps(content, indent=pretty))
    with pytest.raises(DataError, match="log is JSON; wanted CSV"):
        read(file)


@pytest.mark.parametrize(
    "word",
    [
        "{a}",
        "[1,2]",
        '{"a": 1}',
        '{"a":' * 9000,
        "[",
        "{",
        "ORC",
        "PAR1",
        "PK",
        "BZh9",
        "RDX",
        "MATLAB ",
        "Obj",
    ],
)
def test_text_that_begins_like_something_else(tmp_path: Path, word: str) -> None:
    file = tmp_path / "log"
    file.write_text(f"{word};1\n")
    assert read(file, header=False) == ([(word, "1")], [])


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"y,word\n1,a\n", "something else: set log.format: csv if it is text"),
        (gzip.compress(b"y\n1\n", mtime=0), "packed with gzip"),
        (packed_zip(["xl/workbook.xml"]), "an Excel workbook: export it as CSV"),
        (b'{"y": 1}\n', "JSON"),
    ],
)
def test_the_error_for_a_file_that_is_not_parquet(
    tmp_path: Path, content: bytes, found: str
) -> None:
    file = tmp_path / "log.parquet"
    file.write_bytes(content)
    with pytest.raises(DataError, match=rf"log\.parquet: cannot be read as Parquet: it is {found}"):
        read(file, format="parquet")


@pytest.mark.parametrize("packed", ["gzip", "xz"])
def test_the_error_for_a_file_compressed_twice(tmp_path: Path, packed: str) -> None:
    file = tmp_path / "log"
    file.write_bytes(PACKERS[packed](gzip.compress(TEXT.encode())))
    with pytest.raises(DataError, match=f"log is gzip inside {packed}, packed twice.*unpack it"):
        read(file)


@pytest.mark.parametrize("inside", ["\n", "\r\n"])
def test_quoted_line_ends_between_carriage_returns(tmp_path: Path, inside: str) -> None:
    file = tmp_path / "log"
    file.write_bytes(f'y;word\r1;"a{inside}b"\r0;c\r'.encode())
    rows, faults = read(file, quote='"')
    assert ([row[0] for row in rows], faults) == (["1", "0"], [])
    assert rows[0][1] is not None and rows[0][1].split() == ["a", "b"]


def test_the_error_for_mixed_line_ends(tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.write_bytes(b"y;word\r1;a\r0;b\n1;c\n")
    with pytest.raises(DataError, match=r"log:1: the header has a carriage.*one kind of line end"):
        read(file)


@pytest.mark.parametrize(
    ("line", "advice"),
    [
        (b'1;"a;b"\n', "log.quote"),
        (b"1;\xe9\n", "log.encoding"),
        (b"1;a\r0;b\n", "line end"),
        (b"1;a;b\n", ""),
    ],
)
def test_the_advice_for_a_malformed_line(tmp_path: Path, line: bytes, advice: str) -> None:
    file = tmp_path / "log"
    file.write_bytes(b"y;word\n" + line)
    _, (fault,) = read(file)
    assert advice in fault.advice
    assert bool(advice) == bool(fault.advice)
