"""The rows of the raw log equal those of its typed copy."""

from __future__ import annotations

import bz2
import gzip
import lzma
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from plumbline.base.errors import DataError
from plumbline.base.native import uses_native
from plumbline.columns.rows import RowSource
from plumbline.rawlogs import general_parser, raw_rows, row_parser
from plumbline.rawlogs import survey as survey_module
from plumbline.rawlogs.frames import frame_of_rows
from plumbline.rawlogs.general_parser import Parsed, RawChunk
from plumbline.rawlogs.ingest import SURVEY_FILE, Ingested, fingerprints_of, ingest, ingest_typed
from plumbline.rawlogs.raw_log import RawLog
from plumbline.rawlogs.row_parser import RowParser
from plumbline.rawlogs.splits.split import SPLITS
from plumbline.rawlogs.survey import Survey
from plumbline.rawlogs.text.blocks import TextBlock, read_blocks
from plumbline.settings import Config

COLUMNS = {
    "y": "label",
    "price": "continuous",
    "note": "unused",
    "shop": "integer",
    "hash": "hex",
    "word": "string",
}
LISTS = {"tags": "string_list", "shops": "integer_list", "f": "flag", "g": "flag"}
TABLE = {
    "file": "shops.txt",
    "separator": "|",
    "header": False,
    "list_separator": ";",
    "columns": {"shop": "key", "town": "string", "size": "continuous", "ids": "hex_list"},
}
SHOPS = "1|Köln|2.5|f;a\n2|||\n3|Århus||;\n"


def config_of(split: dict[str, Any], lists: bool = False, **log: Any) -> Config:
    columns = {**COLUMNS, **(LISTS if lists else {})}
    extra = {"list_separator": ";", "multi_hot": {"flags": ["g", "f"]}} if lists else {}
    return Config.model_validate(
        {
            "name": "t",
            "log": {"columns": columns, "malformed_limit": 1000, **extra, **log},
            "tables": {"shops": TABLE},
            "split": split,
            "workflow": {"graph": "standard"},
        }
    )


@contextmanager
def chunks_of(size: int) -> Iterator[None]:
    """Cut logs into chunks of `size` bytes."""
    with patch.object(survey_module, "LARGEST_CHUNK_BYTES", size):
        yield


def open_log(config: Config, files: list[Path], out: Path) -> RawLog:
    return RawLog(config, files, Survey.read(out / SURVEY_FILE), fingerprints_of(config, files))


def frames(source: RowSource, split: str) -> pl.DataFrame:
    with ThreadPoolExecutor(3) as pool:
        rows = list(pool.map(lambda chunk: chunk(), source.chunks(split)))
    return pl.concat(map(frame_of_rows, rows))


def require_same(config: Config, files: list[Path], out: Path) -> Ingested:
    """Check that the log has the rows of its typed copy, made with the general parser."""
    (files[0].parent / "shops.txt").write_text(SHOPS, encoding="utf-8")
    try:
        with patch.object(row_parser, "uses_native", return_value=False):
            typed = ingest_typed(config, files, out / "typed", lambda _: None)
    except DataError as error:
        with pytest.raises(DataError) as raised:
            ingest(config, files, out / "raw", lambda _: None)
        assert str(raised.value) == str(error)
        raise
    read: list[int] = []
    made = ingest(config, files, out / "raw", read.append)
    assert made == typed
    rows = sum(made.rows[split] for split in SPLITS) + sum(made.left_out.values())
    assert sum(read) == made.malformed + rows
    log = open_log(config, files, out / "raw")
    assert dict(log.splits) == {split: made.rows[split] for split in SPLITS}
    for split in SPLITS:
        found = frames(log, split)
        assert found.columns == [*config.features, "click"]
        assert found.equals(pl.read_parquet(out / "typed" / split / "part-*.parquet"))
    probes = [pl.read_parquet(out / name / "probe" / "*.parquet") for name in ("typed", "raw")]
    assert probes[0].equals(probes[1])
    return made


def number(value: Any) -> str:
    return "" if value is None else str(value)


QUOTED = ['"a\nb"', '"x,y::z"', '"q""q"', '"\r\n"', '"\r"', '""', 'tv 40" wide', '"a"b', ' "a" ']
WORDS = st.text(
    st.characters(codec="latin-1", exclude_characters='\r\n\0;,:"'), max_size=4
) | st.sampled_from(QUOTED)
FIELDS = st.tuples(
    st.sampled_from(["0", "1"]),
    st.sampled_from(["", "1", "-2.5", "0.1", "1e3", "nan", "16777217", "x"]),
    WORDS,
    st.sampled_from(["", "1", "2", "3", "-7", "9223372036854775807", "1.5"]),
    st.sampled_from(["", "0", "ff", "deadbeef", "FFFFFFFF", "7fffffffffffffff", "g"]),
    WORDS,
)
MORE_FIELDS = st.tuples(
    st.sampled_from(["", "a", "a;b", ";", "a;;c"]),
    st.sampled_from(["", "1", "1;2", "1;x"]),
    st.sampled_from(["", "0", "1"]),
    st.sampled_from(["0", "1", "2"]),
)
SPLIT_RULES = [
    {"by": "rows", "valid": 0.2, "test": 0.3},
    {"by": "hash", "valid": 0.25, "test": 0.25},
    {"by": "file", "valid": [1], "test": [0]},
    {"by": "group", "column": "word", "valid": 0.3, "test": 0.3},
]
RULES_THAT_LEAVE_OUT = [
    {"by": "group", "column": "note", "train": 0.4, "valid": 0.25, "test": 0.3},
    {"by": "group", "column": "shop", "valid": 0.3, "test": 0.3, "keep_negatives": 0.6},
    {"by": "rows", "train": 0.4, "valid": 0.2, "test": 0.3, "keep_negatives": 0.5},
    {"by": "hash", "train": 0.4, "valid": 0.25, "test": 0.25},
    {"by": "file", "train": [2], "valid": [1], "test": [0], "keep_negatives": 0.5},
]


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "not": bytes,
    "gzip": gzip.compress,
    "bz2": bz2.compress,
    "xz": lzma.compress,
    "zstd": lambda content: pa.compress(content, "zstd", asbytes=True),
}


@settings(max_examples=30)
@given(
    logs=st.lists(
        st.lists(
            st.tuples(FIELDS, MORE_FIELDS) | st.sampled_from(["", "bad", "1,2,3", "\r", '1,"']),
            min_size=6,
            max_size=30,
        ),
        min_size=3,
        max_size=4,
    ),
    rule=st.sampled_from(SPLIT_RULES + RULES_THAT_LEAVE_OUT),
    lists=st.booleans(),
    header=st.booleans(),
    quote=st.sampled_from([None, '"']),
    separator=st.sampled_from([",", "::"]),
    trim=st.booleans(),
    encoding=st.sampled_from(["utf-8", "latin-1", "mixed", "utf-16", "utf-32-be"]),
    ending=st.sampled_from(["\n", "\r\n"]),
    packed=st.sampled_from(list(PACKERS)),
    size=st.integers(40, 600),
    short=st.sampled_from([10, 50, 1000]),
)
def test_every_split_has_the_rows_of_the_typed_copy(
    tmp_path_factory: pytest.TempPathFactory,
    logs: list[list[tuple[tuple[str, ...], tuple[str, ...]] | str]],
    rule: dict[str, Any],
    lists: bool,
    header: bool,
    quote: str | None,
    separator: str,
    trim: bool,
    encoding: str,
    ending: str,
    packed: str,
    size: int,
    short: int,
) -> None:
    folder = tmp_path_factory.mktemp("log")
    names = [*COLUMNS, *(LISTS if lists else ())]
    files = []
    for position, lines in enumerate(logs):
        texts = [
            line if isinstance(line, str) else separator.join(line[0] + (line[1] if lists else ()))
            for line in lines
        ]
        if header:
            texts = [separator.join(names), *texts]
        # One is invalid: latin-1 bytes in a log that is declared as UTF-8.
        content = ending.join(texts).encode("latin-1" if encoding == "mixed" else encoding)
        files.append(folder / f"day_{position}")
        files[-1].write_bytes(PACKERS[packed](content))
    config = config_of(
        rule,
        lists,
        header=header,
        quote=quote,
        separator=separator,
        trim=trim,
        encoding="utf-8" if encoding == "mixed" else encoding,
    )
    with chunks_of(size), patch.object(general_parser, "SHORT_BYTES", short):
        try:
            require_same(config, files, folder / "out")
        except DataError:
            return  # a file without rows, a split of one class: both ingests raise the same error


ROWS = {"by": "rows", "valid": 0.2, "test": 0.2}


def write_log(folder: Path, rows: int = 40, name: str = "log") -> Path:
    (folder / "shops.txt").write_text(SHOPS, encoding="utf-8")
    file = folder / name
    lines = [f"{i % 2},{i}.5,n,{i % 5},{i:x},w{i}\n" for i in range(rows)]
    file.write_text("".join(lines))
    return file


def raw_log(folder: Path, split: dict[str, Any], files: int = 1, size: int = 60) -> RawLog:
    config = config_of(split, header=False)
    logs = [write_log(folder, name=f"log_{position}") for position in range(files)]
    with chunks_of(size):
        ingest(config, logs, folder / "out", lambda _: None)
    return open_log(config, logs, folder / "out")


def test_a_parquet_log(tmp_path: Path) -> None:
    frame = pl.DataFrame(
        {
            "word": ["a", None, "ü", ""] * 10,
            "hash": [f"{i:x}" for i in range(40)],
            "shop": pl.Series([1, 2, None, 9] * 10, dtype=pl.Int32),
            "price": [float("nan"), 1.5, None, 2.5] * 10,
            "y": [1, 0, 1, 1, 2] * 8,
            "note": [None] * 40,
        }
    )
    for split in SPLIT_RULES + RULES_THAT_LEAVE_OUT[1:]:
        files = [tmp_path / f"log_{position}.parquet" for position in range(3)]
        for file in files:
            frame.write_parquet(file)
        with patch.object(raw_rows, "PARQUET_BATCH_ROWS", 7):
            made = require_same(config_of(split, format="parquet"), files, tmp_path / "out")
        assert made.malformed == 24
        assert made.examples[0].endswith(
            "log_0.parquet:5: column 'y': wanted label 0 or 1, found 2; give label.at_least the "
            "smallest number that is a click, or label.click the clicks"
        )


def test_chunks_may_be_called_in_any_order_and_twice(tmp_path: Path) -> None:
    log = raw_log(tmp_path, ROWS)
    chunks = list(log.chunks("train"))
    assert len(chunks) > 5
    backwards = [chunk() for chunk in reversed(chunks)]
    again = [chunk() for chunk in log.chunks("train")]
    assert pl.concat(map(frame_of_rows, reversed(backwards))).equals(
        pl.concat(map(frame_of_rows, again))
    )
    assert sum(map(len, again)) == log.splits["train"] == 24


@pytest.mark.parametrize("split", SPLIT_RULES)
def test_chunks_of_other_splits_are_not_parsed(tmp_path: Path, split: dict[str, Any]) -> None:
    log = raw_log(tmp_path, split, files=3)
    parse, parsed = RowParser.parse, []

    def counted(self: RowParser, file: Path, chunk: RawChunk) -> Parsed:
        found = parse(self, file, chunk)
        parsed.append(len(found.rows))
        return found

    with patch.object(RowParser, "parse", counted):
        rows = [chunk() for chunk in log.chunks("test")]
    assert len(parsed) == len(rows) and min(map(len, rows)) > 0
    if split["by"] == "file":
        assert sum(parsed) == log.splits["test"] == 40
    if split["by"] == "rows":
        assert log.splits["test"] <= sum(parsed) < log.splits["test"] + parsed[0]


def test_a_compressed_log_is_read_chunk_by_chunk(tmp_path: Path) -> None:
    text = write_log(tmp_path).read_bytes()
    file = tmp_path / "log.gz"
    file.write_bytes(gzip.compress(text))
    config = config_of(ROWS, header=False)
    with chunks_of(60):
        ingest(config, [file], tmp_path / "out", lambda _: None)
    read: list[int] = []

    def counted(*given: Any) -> Iterator[TextBlock]:
        for block in read_blocks(*given):
            read.append(len(block.text))
            yield block

    log = open_log(config, [file], tmp_path / "out")
    with patch.object(raw_rows, "read_blocks", counted):
        chunks = log.chunks("train")
        assert len(next(chunks)()) > 0
        assert len(read) == 1
        assert sum(len(chunk()) for chunk in chunks) < log.splits["train"]
        assert sum(read) < len(text)  # nothing after the split's last row


@pytest.mark.parametrize("name", ["log_0", "shops.txt"])
def test_a_file_that_changed_since_the_survey_is_refused(tmp_path: Path, name: str) -> None:
    log = raw_log(tmp_path, ROWS)
    file = tmp_path / name
    file.write_text(file.read_text() + " ")
    with pytest.raises(
        DataError, match=rf"{name}: wanted the file that stage ingest read \(.*, found"
    ):
        list(log.chunks("train"))


def test_other_rows_with_the_same_fingerprint_are_refused(tmp_path: Path) -> None:
    log = raw_log(tmp_path, ROWS)
    file = tmp_path / "log_0"
    times = file.stat()
    file.write_bytes(file.read_bytes().replace(b"0,10.5,n", b"7,10.5,n"))
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    with pytest.raises(DataError, match="log_0: the rows are not those that stage ingest read"):
        frames(log, "train")


def test_too_many_malformed_lines_stop_the_survey(tmp_path: Path) -> None:
    file = write_log(tmp_path)
    file.write_text(file.read_text() + "bad\n\n" * 20 + "1,,,,,\n")
    config = config_of(ROWS, header=False, malformed_limit=7)
    expected = (
        r"^8 malformed lines, and log\.malformed_limit is 7\. "
        r"The first: .*log:41: wanted 6 fields, found 1\. Correct the log"
    )
    read: list[int] = []
    with chunks_of(10), pytest.raises(DataError, match=expected):
        ingest(config, [file], tmp_path / "out", read.append)
    assert 40 < sum(read) < 50


def test_a_log_without_a_usable_row(tmp_path: Path) -> None:
    file = write_log(tmp_path)
    file.write_text("bad\n")
    with pytest.raises(DataError, match=r"No usable row in the log.*log:1: "):
        ingest(config_of(ROWS, header=False), [file], tmp_path / "out", lambda _: None)


def test_a_survey_is_read_back(tmp_path: Path) -> None:
    raw_log(tmp_path, SPLIT_RULES[2], files=3)
    file = tmp_path / "out" / SURVEY_FILE
    found = Survey.read(file)
    found.write(tmp_path / "again")
    assert Survey.read(tmp_path / "again") == found
    assert found.rows == {"train": 40, "valid": 40, "test": 40}
    assert found.files[0].ends[-1] == (tmp_path / "log_0").stat().st_size
    file.write_text("{}")
    with pytest.raises(DataError, match=r"survey\.json: not the survey of a log \(KeyError"):
        Survey.read(file)


@pytest.mark.skipif(not uses_native(), reason="the native parser detects plain blocks")
def test_only_the_neighbours_of_an_odd_line_need_the_general_parser(tmp_path: Path) -> None:
    file = write_log(tmp_path, rows=2000)
    lines = file.read_text().splitlines()
    lines[700] = "bad"
    lines[1500] = "1,1e3,n,1,ff,odd"
    file.write_text("\n".join(lines))
    config = config_of(ROWS, header=False)
    with (
        patch.object(general_parser, "SHORT_BYTES", 300),
        patch.object(general_parser, "parse_text", wraps=general_parser.parse_text) as general,
    ):
        made = require_same(config, [file], tmp_path / "out")
    assert made.examples == (f"{file}:701: wanted 6 fields, found 1",)
    of_the_copy, *sizes = [len(call.args[0].text) for call in general.call_args_list]
    assert of_the_copy == file.stat().st_size + 1
    assert len(sizes) >= 2 and max(sizes) < 600
