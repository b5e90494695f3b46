"""Text logs: values are read back typed, and malformed lines are reported by number."""

from __future__ import annotations

import csv
import gzip
import io
import struct
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plumbline.base.errors import DataError
from plumbline.columns.kinds import Kind
from plumbline.rawlogs.convert import convert
from plumbline.rawlogs.ingest import Ingested, ingest_typed
from plumbline.rawlogs.malformed import Fault
from plumbline.rawlogs.raw_rows import read_raw_rows
from plumbline.settings import Config, Label, Table

KINDS: dict[str, Kind] = {
    "clicked": "label",
    "price": "continuous",
    "shop": "integer",
    "hash": "hex",
    "word": "string",
}


def read(file: Path, table: Table, block_bytes: int = 1 << 20) -> tuple[pl.DataFrame, list[Fault]]:
    frames, faults = [], []
    for raw in read_raw_rows(file, table, tuple(KINDS), block_bytes):
        frame, refused = convert(file, raw, KINDS, Label(), table)
        frames.append(frame)
        faults += [*raw.faults, *refused]
    return pl.concat(frames), sorted(faults)


def float32(value: float) -> float:
    return float(struct.unpack("f", struct.pack("f", value))[0])


WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), min_size=1, max_size=5)
ROWS = st.lists(
    st.tuples(
        st.sampled_from([0, 1]),
        st.none() | st.floats(width=32, allow_nan=False, allow_infinity=False),
        st.none() | st.integers(-(2**63) + 1, 2**63 - 1),
        st.none() | st.integers(0, 2**63 - 1),
        st.none() | WORDS,
    ),
    min_size=1,
    max_size=20,
)


@settings(max_examples=60)
@given(
    rows=ROWS,
    separator=st.sampled_from([",", "\t", "|", ";", "\x01"]),
    header=st.booleans(),
    suffix=st.sampled_from(["", ".gz", ".zst"]),
    ending=st.sampled_from(["\n", "\r\n"]),
    ends=st.booleans(),
    block_bytes=st.integers(1, 200),
)
def test_round_trip(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[int, float | None, int | None, int | None, str | None]],
    separator: str,
    header: bool,
    suffix: str,
    ending: str,
    ends: bool,
    block_bytes: int,
) -> None:
    out = io.StringIO()
    writer = csv.writer(out, delimiter=separator, lineterminator=ending, quoting=csv.QUOTE_MINIMAL)
    if header:
        writer.writerow(KINDS)
    writer.writerows((y, x, i, None if h is None else f"{h:x}", w) for y, x, i, h, w in rows)
    text = out.getvalue() if ends else out.getvalue().removesuffix(ending)
    packed = {
        "": bytes,
        ".gz": gzip.compress,
        ".zst": lambda content: pa.compress(content, "zstd", asbytes=True),
    }[suffix](text.encode())
    file = tmp_path_factory.mktemp("text") / f"log{suffix}"
    file.write_bytes(packed)
    table = Table(columns=KINDS, separator=separator, header=header, quote='"')

    frame, faults = read(file, table, block_bytes)

    assert faults == []
    assert frame.rows() == [tuple(row) for row in rows]
    assert frame.dtypes == [pl.Int8, pl.Float32, pl.Int64, pl.Int64, pl.String]


@given(value=st.floats(allow_nan=False, min_value=-1e38, max_value=1e38))
@settings(max_examples=50)
def test_numbers_are_rounded_as_the_wire_rounds(
    tmp_path_factory: pytest.TempPathFactory, value: float
) -> None:
    file = tmp_path_factory.mktemp("text") / "log"
    file.write_text(f"0,{value!r},,,\n")
    frame, _ = read(file, Table(columns=KINDS, header=False))
    assert frame["price"].to_list() == [float32(value)]


HEADER = "clicked,price,shop,hash,word\n"


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("1,abc,,,", "column 'price': wanted a finite float32 number, found 'abc'"),
        ("1,inf,,,", "column 'price': wanted a finite float32 number, found 'inf'"),
        ("1,1e39,,,", "column 'price': wanted a finite float32 number, found '1e39'"),
        ("1,,1.5,,", "column 'shop': wanted a 64-bit integer, found '1.5'"),
        ("1,,18446744073709551616,,", "column 'shop': wanted a 64-bit integer, found '184467440"),
        ("1,,-9223372036854775808,,", "column 'shop': wanted a 64-bit integer, found '-92233720"),
        ("1,,,xyz,", "column 'hash': wanted up to 16 hexadecimal digits, found 'xyz'"),
        ("1,,,-1,", "column 'hash': wanted up to 16 hexadecimal digits, found '-1'"),
        ("1,,,00000000000000001,", "column 'hash': wanted up to 16 hexadecimal digits"),
        (",,,,", "column 'clicked': wanted label 0 or 1, found nothing"),
        ("2,,,,", "column 'clicked': wanted label 0 or 1, found '2'"),
        ("nan,,,,", "column 'clicked': wanted label 0 or 1, found 'nan'"),
        ("1,,", "wanted 5 fields, found 3"),
        ("1,,,,,,", "wanted 5 fields, found 7"),
        ("1,,,,\xff", "wanted utf-8 text, found b'\\xff' at byte 6"),
    ],
)
@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_malformed_lines_are_reported_by_number(
    tmp_path: Path, line: str, reason: str, suffix: str
) -> None:
    before = ["0,1,2,3,a"] * 40 + [""] + ["bad"] + ["", "", "1,,,,"]
    text = (HEADER + "\n".join([*before, line, "", "1,5,,,z", line])).encode("latin-1")
    file = tmp_path / f"log{suffix}"
    file.write_bytes(gzip.compress(text) if suffix else text)

    for block_bytes in (7, 1 << 20):
        frame, faults = read(file, Table(columns=KINDS), block_bytes)
        assert [fault.line for fault in faults] == [43, 47, 50]
        assert faults[1].reason.startswith(reason)
        assert faults[2].reason == faults[1].reason
        assert len(frame) == 42
        assert frame.row(-1) == (1, 5.0, None, None, "z")


def test_nan_and_empty_quoted_text_are_missing(tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.write_text(HEADER + '1,NaN,"","",""\n')
    frame, faults = read(file, Table(columns=KINDS, quote='"'))
    assert (frame.rows(), faults) == ([(1, None, None, None, None)], [])


def test_a_header_may_have_another_order_and_more_columns(tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.write_bytes("\ufeffword,more,hash,shop,price,clicked\nw,,ff,3,1.5,1\n".encode())
    frame, faults = read(file, Table(columns=KINDS))
    assert (frame.rows(), faults) == ([(1, 1.5, 3, 255, "w")], [])


def test_a_missing_column_is_named_with_the_nearest(tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.write_text("clicked,prices,shop,hash,word\n1,,,,\n")
    expected = (
        r"log: no column 'price' among clicked, prices, shop, hash, word; did you mean 'prices'\?"
    )
    with pytest.raises(DataError, match=expected):
        read(file, Table(columns=KINDS))


def test_a_column_named_twice(tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.write_text("clicked,price,shop,hash,word,price\n")
    with pytest.raises(DataError, match="header names column 'price' twice"):
        read(file, Table(columns=KINDS))


def test_an_undecodable_header(tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.write_bytes(b"\nclicked,pr\xff\n")
    with pytest.raises(DataError, match="log:2: wanted a header in utf-8"):
        read(file, Table(columns=KINDS))


def test_latin_1(tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.write_bytes("1,,,,café\n".encode("latin-1"))
    frame, _ = read(file, Table(columns=KINDS, header=False, encoding="latin-1"))
    assert frame["word"].to_list() == ["café"]


def test_at_least_makes_a_label_of_a_rating(tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.write_text("3\n4\n4.5\nx\n")
    table = Table(columns={"rating": "label"}, header=False)
    (raw,) = read_raw_rows(file, table, ["rating"])
    frame, faults = convert(file, raw, {"rating": "label"}, Label(at_least=4), table)
    assert frame["click"].to_list() == [0, 1, 1]
    hint = "; label.click takes the words that are clicks"
    assert faults == [Fault(4, f"column 'rating': wanted a number as label, found 'x'{hint}")]


def test_times_are_numbers_or_iso_text(tmp_path: Path) -> None:
    file = tmp_path / "log"
    moments = [
        "86400",
        "1970-01-02",
        "1970-01-02T00:00:00",
        "1970-01-02 00:00:00.5",
        "1970-01-02T01:00:00+01:00",
        "1970-01-02T00:00:00Z",
    ]
    file.write_text("\n".join([*moments, "yesterday", '""', ""]))
    table = Table(columns={"at": "time"}, header=False, quote='"')
    (raw,) = read_raw_rows(file, table, ["at"])
    frame, faults = convert(file, raw, {"at": "time"}, Label(), table, "at")
    assert frame.to_series().to_list() == [86400, 86400, 86400, 86400.5, 86400, 86400]
    wanted = "column 'at': wanted a number or an ISO 8601 time, found"
    hint = '; give its format: at: {kind: time, format: "%d/%m/%Y %H:%M"}'
    assert faults == [Fault(7, f"{wanted} 'yesterday'{hint}"), Fault(8, f"{wanted} nothing")]


def test_every_row_is_read_or_counted(tmp_path: Path) -> None:
    config = Config.model_validate(
        {
            "name": "t",
            "log": {"columns": KINDS, "malformed_limit": 7},
            "split": {"by": "rows", "valid": 0.2, "test": 0.2},
            "workflow": {"graph": "standard"},
        }
    )
    lines = [f"{i % 2},{'bad' if i % 5 == 4 else i},{i},," for i in range(35)]
    file = tmp_path / "log"
    file.write_text(HEADER + "\n".join(lines))
    read_rows: list[int] = []
    made: Ingested = ingest_typed(config, [file], tmp_path / "out", read_rows.append)
    assert sum(made.rows[split] for split in ("train", "valid", "test")) == 28
    assert (made.malformed, sum(read_rows)) == (7, 35)
    assert made.examples[0].endswith(
        "log:6: " + "column 'price': wanted a finite float32 number, found 'bad'"
    )
    assert made.advice == ("log.missing takes words for missing values",)
    file.write_text(HEADER + "\n".join([*lines, "1,bad,,,"]))
    with pytest.raises(
        DataError, match=r"^8 malformed lines, and log\.malformed_limit is 7\..*:6: "
    ):
        ingest_typed(config, [file], tmp_path / "out", read_rows.append)
