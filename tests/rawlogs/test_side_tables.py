from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from plumbline.base.errors import DataError
from plumbline.rawlogs.ingest import Ingested
from plumbline.settings import Config

Rows = Callable[[str], pl.DataFrame]


@pytest.fixture
def joined_config(make_config: Callable[..., Config]) -> Callable[..., Config]:
    def make(**table: Any) -> Config:
        columns = {"shop": "key", "town": "string", "size": "continuous", "note": "unused"}
        shops = {"file": "shops.txt", "separator": "|", "header": False, "columns": columns}
        return make_config(
            {"columns": {"clicked": "label", "shop": "integer"}, "header": False},
            tables={"shops": {**shops, **table}},
        )

    return make


def write(folder: Path, text: str, encoding: str = "utf-8") -> None:
    (folder / "shops.txt").write_bytes(text.encode(encoding))


def lines(count: int = 20, shops: int = 3) -> str:
    return "\n".join(f"{i % 2},{i % shops}" for i in range(count))


def test_many_rows_join_one(
    joined_config: Callable[..., Config],
    ingest_text: Callable[..., Ingested],
    split_rows: Rows,
    tmp_path: Path,
) -> None:
    write(tmp_path, "2|Köln|2.5|\n0|Århus||x\n7|never||\n", "latin-1")
    made = ingest_text(joined_config(encoding="latin-1"), lines())
    rows = pl.concat([split_rows(split) for split in ("train", "valid", "test")])
    assert rows.columns == ["shop", "town", "size", "click"]
    expected = {0: (0, "Århus", None), 1: (1, None, None), 2: (2, "Köln", 2.5)}
    assert rows.drop("click").rows() == [expected[i % 3] for i in range(20)]
    assert made.unmatched == {"shops": 7}


def test_rows_without_key_are_unmatched(
    joined_config: Callable[..., Config],
    ingest_text: Callable[..., Ingested],
    tmp_path: Path,
) -> None:
    write(tmp_path, "0|a||\n1|b||\n2|c||\n")
    assert ingest_text(joined_config(), lines() + "\n1,\n0,").unmatched == {"shops": 2}


@pytest.mark.parametrize(("kind", "key"), [("hex", "ff"), ("string", "Ff"), ("integer", "255")])
def test_keys_have_the_kind_of_the_logs_column(
    make_config: Callable[..., Config],
    ingest_text: Callable[..., Ingested],
    tmp_path: Path,
    kind: str,
    key: str,
) -> None:
    write(tmp_path, f"id,town\n{key},a\n")
    table = {"file": "shops.txt", "columns": {"id": "key", "town": "string"}}
    log = {"columns": {"y": "label", "id": kind}, "header": False}
    text = "\n".join(f"{i % 2},{key}" for i in range(20))
    made = ingest_text(make_config(log, tables={"shops": table}), text)
    assert made.unmatched == {"shops": 0}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "1|a||\n2|b||\n\n1|c||\n",
            r"shops\.txt:4: table 'shops' has the key shop 1 a second time, first in line 1\.",
        ),
        ("1|a||\n2|b|\n", r"shops\.txt:2: wanted 4 fields, found 3\. Correct the line"),
        ("1|a|big|\n", r"shops\.txt:1: column 'size': wanted a finite float32 number, found 'big'"),
        ("1|a||\nx|b||\n", r"shops\.txt:2: column 'shop': wanted a 64-bit integer, found 'x'"),
        ("1|a||\n|b||\n", r"shops\.txt:2: column 'shop': wanted a key, found nothing"),
        ("\n\n", r"shops\.txt: table 'shops' holds no rows"),
        ("", r"shops\.txt: the file is empty"),
    ],
)
def test_faults_of_a_table_stop_at_once(
    joined_config: Callable[..., Config],
    ingest_text: Callable[..., Ingested],
    tmp_path: Path,
    text: str,
    message: str,
) -> None:
    write(tmp_path, text)
    with pytest.raises(DataError, match=message):
        ingest_text(joined_config(), lines())


def test_a_missing_table(
    joined_config: Callable[..., Config], ingest_text: Callable[..., Ingested]
) -> None:
    with pytest.raises(
        DataError, match=r"shops\.txt: wanted a log file, but there is no such file"
    ):
        ingest_text(joined_config(), lines())


def test_duplicate_hex_keys_are_shown_as_in_the_file(
    make_config: Callable[..., Config], ingest_text: Callable[..., Ingested], tmp_path: Path
) -> None:
    write(tmp_path, "id,town\n00ff,a\nff,b\n")
    table = {"file": "shops.txt", "columns": {"id": "key", "town": "string"}}
    config = make_config(
        {"columns": {"y": "label", "id": "hex"}, "header": False}, tables={"shops": table}
    )
    with pytest.raises(
        DataError, match=r"shops\.txt:3: .* key id 'ff' a second time, first in line 2"
    ):
        ingest_text(config, "1,ff\n")
