"""The spellings of values, through the whole ingest: words, marks, large ids, booleans."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from plumbline.base.errors import DataError
from plumbline.rawlogs.ingest import Ingested, ingest
from plumbline.rawlogs.row_parser import parse_lines
from plumbline.settings import Config

MakeConfig = Callable[..., Config]
Ingest = Callable[..., Ingested]
SPLITS = ("train", "valid", "test")


def rows(folder: Path) -> pl.DataFrame:
    return pl.concat([pl.read_parquet(folder / "out" / s / "part-*.parquet") for s in SPLITS])


@pytest.mark.parametrize("token", ["8.0", " 7", "7 ", "+7", "7e0", "1e3", str(2**63 + 5)])
def test_spellings_of_an_integer_reach_the_splits(
    make_config: MakeConfig, ingest_text: Ingest, tmp_path: Path, token: str
) -> None:
    config = make_config({"columns": {"y": "label", "k": "integer"}})
    made = ingest_text(config, "y,k\n" + "".join(f"{i % 2},{token}\n" for i in range(40)))
    number = int(float(token)) if "." in token or "e" in token else int(token)
    assert made.malformed == 0
    assert set(rows(tmp_path)["k"]) == {number if number < 2**63 else number - 2**64}


LINES = [f"{('no', 'yes')[i % 2]};{'NA' if i % 5 == 0 else i};{'NULL' if i % 3 else ' w'};{i}"
         for i in range(40)]  # fmt: skip


def test_words_for_missing_and_for_clicks(
    make_config: MakeConfig, ingest_text: Ingest, tmp_path: Path
) -> None:
    """All columns have kinds that the native parser supports."""
    log = {
        "columns": {"y": "label", "x": "continuous", "s": "string", "k": "integer"},
        "separator": ";",
        "missing": ["NA", "NULL"],
        "trim": True,
        "header": False,
    }
    made = ingest_text(make_config(log, label={"click": ["yes"]}), "\n".join(LINES))
    found = rows(tmp_path).sort("k")
    assert made.malformed == 0
    assert found["click"].to_list() == [i % 2 for i in range(40)]
    assert found["x"].to_list() == [None if i % 5 == 0 else float(i) for i in range(40)]
    assert found["s"].to_list() == [None if i % 3 else "w" for i in range(40)]


@pytest.mark.parametrize(
    ("log", "text"),
    [
        ({"missing": ["7"]}, "7"),
        ({"decimal": ","}, "7.5"),
        ({"thousands": ",", "separator": ";"}, "7"),
    ],
)
def test_the_native_parser_follows_the_rules(
    make_config: MakeConfig, ingest_text: Ingest, tmp_path: Path, log: dict[str, Any], text: str
) -> None:
    columns = {"y": "label", "x": "continuous"}
    config = make_config({"columns": columns, "header": False, "malformed_limit": 0, **log})
    separator = log.get("separator", ",")
    lines = "\n".join(f"{i % 2}{separator}{text}" for i in range(40))
    if "decimal" in log:
        with pytest.raises(
            DataError, match=re.escape("wanted a finite float32 number, found '7.5'")
        ):
            ingest_text(config, lines)
        return
    ingest_text(config, lines)
    assert set(rows(tmp_path)["x"]) == ({None} if "missing" in log else {7.0})


def test_booleans_are_a_kind(make_config: MakeConfig, ingest_text: Ingest, tmp_path: Path) -> None:
    config = make_config({"columns": {"y": "label", "b": "boolean"}, "header": False})
    words = ["true", "No", "Y", "0", "", "off"]
    text = "\n".join(f"{i % 2},{words[i % 6]}" for i in range(60))
    made = ingest_text(config, text)
    assert (made.malformed, config.features) == (0, {"b": "boolean"})
    assert rows(tmp_path)["b"].to_list() == [[1, 0, 1, 0, None, 0][i % 6] for i in range(60)]


@pytest.mark.parametrize("typed", [True, False])
def test_the_error_for_unknown_click_words_shows_the_labels_words(
    make_config: MakeConfig, tmp_path: Path, typed: bool
) -> None:
    file = tmp_path / "log.csv"
    file.write_text("".join(f"{('no', 'yes')[i % 2]},{i}\n" for i in range(40)))
    log = {"columns": {"y": "label", "k": "integer"}, "header": False, "typed_copy": typed}
    config = make_config(log, label={"click": ["Yes", "buy"]})
    message = r"label\.click is 'Yes', 'buy', and column 'y' holds 'no', 'yes'\."
    with pytest.raises(DataError, match=message):
        ingest(config, [file], tmp_path / "out", lambda _: None)


FORMS: list[tuple[str, str]] = [
    ("integer", " 7"), ("integer", "7 "), ("integer", "+7"), ("integer", "8.0"), ("integer", "7e0"),
    ("integer", str(2**63)), ("integer", "nan"), ("hex", "8" * 16), ("hex", " ff"),
    ("continuous", " 1.5"), ("continuous", "+1"), ("continuous", "1e39"), ("continuous", "inf"),
    ("continuous", "nan"), ("continuous", "1e-3"), ("label", "1.0"),
    ("label", " 1"), ("label", "yes"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "text"), FORMS)
def test_values_that_are_not_plain_need_the_general_parser(kind: Any, text: str) -> None:
    other = "0" if kind == "label" else "1"
    assert parse_lines(f"{other}\n{text}\n".encode(), ",", ["c"], {"c": kind}) is None
