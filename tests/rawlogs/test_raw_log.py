"""The rows that are read from the raw log are those that its typed copy has."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
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

from features.errors import DataError
from features.rows import RowSource
from features.settings import Config
from rawlogs import survey as survey_module
from rawlogs.frames import frame_of_rows
from rawlogs.ingest import SURVEY_FILE, Ingested, fingerprints_of, ingest, ingest_typed
from rawlogs.raw_log import RawLog
from rawlogs.split import SPLITS
from rawlogs.survey import Survey

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
def pieces_of(size: int) -> Iterator[None]:
    """Logs are cut into pieces of so many bytes."""
    with patch.object(survey_module, "LARGEST_PIECE_BYTES", size):
        yield


def open_log(config: Config, files: list[Path], out: Path) -> RawLog:
    return RawLog(config, files, Survey.read(out / SURVEY_FILE), fingerprints_of(config, files))


def frames(source: RowSource, split: str) -> pl.DataFrame:
    with ThreadPoolExecutor(3) as pool:
        rows = list(pool.map(lambda portion: portion(), source.portions(split)))
    return pl.concat(map(frame_of_rows, rows))


def require_same(config: Config, files: list[Path], out: Path) -> Ingested:
    """The log gives the rows of its typed copy, and the ingests say the same."""
    (files[0].parent / "shops.txt").write_text(SHOPS, encoding="utf-8")
    try:
        typed = ingest_typed(config, files, out / "typed", lambda _: None)
    except DataError as error:
        with pytest.raises(DataError) as raised:
            ingest(config, files, out / "raw", lambda _: None)
        assert str(raised.value) == str(error)
        raise
    read: list[int] = []
    made = ingest(config, files, out / "raw", read.append)
    assert made == typed
    assert sum(read) == made.malformed + sum(made.rows[split] for split in SPLITS)
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


WORDS = st.text(st.characters(codec="latin-1", exclude_characters='\r\n\0;,"'), max_size=4)
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
]


@settings(max_examples=20, deadline=None)
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
    rule=st.sampled_from(SPLIT_RULES),
    lists=st.booleans(),
    header=st.booleans(),
    quote=st.sampled_from([None, '"']),
    encoding=st.sampled_from(["utf-8", "latin-1", "utf-16-bytes"]),
    ending=st.sampled_from(["\n", "\r\n"]),
    suffix=st.sampled_from(["", ".gz", ".zst"]),
    size=st.integers(40, 600),
)
def test_every_split_has_the_rows_of_the_typed_copy(
    tmp_path_factory: pytest.TempPathFactory,
    logs: list[list[tuple[tuple[str, ...], tuple[str, ...]] | str]],
    rule: dict[str, Any],
    lists: bool,
    header: bool,
    quote: str | None,
    encoding: str,
    ending: str,
    suffix: str,
    size: int,
) -> None:
    folder = tmp_path_factory.mktemp("log")
    names = [*COLUMNS, *(LISTS if lists else ())]
    pack = {
        "": bytes,
        ".gz": gzip.compress,
        ".zst": lambda content: pa.compress(content, "zstd", asbytes=True),
    }[suffix]
    files = []
    for position, lines in enumerate(logs):
        texts = [
            line if isinstance(line, str) else ",".join(line[0] + (line[1] if lists else ()))
            for line in lines
        ]
        if header:
            texts = [",".join(names), *texts]
        # A third encoding mixes: latin-1 bytes in a log that is declared as UTF-8.
        content = ending.join(texts).encode("utf-8" if encoding == "utf-8" else "latin-1")
        files.append(folder / f"day_{position}{suffix}")
        files[-1].write_bytes(pack(content))
    config = config_of(
        rule,
        lists,
        header=header,
        quote=quote,
        encoding="latin-1" if encoding == "latin-1" else "utf-8",
    )
    with pieces_of(size):
        try:
            require_same(config, files, folder / "out")
        except DataError:
            return  # a file without rows, a split of one class: both ingests said the same
