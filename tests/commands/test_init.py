"""`pipelines/init.py` on files of many formats: the configuration loads, and explains guesses."""

import bz2
import gzip
import json
import lzma
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
import yaml

from plumbline.settings import Config
from plumbline.settings.configuration import load_config
from tests.conftest import Command

DRAWN = random.Random(3)
N = 600


def shop_rows(n: int = N) -> list[dict[str, Any]]:
    rows = []
    for i in range(n):
        bought = DRAWN.random() < 0.3
        rows.append(
            {
                "id": DRAWN.getrandbits(50),
                "user_id": DRAWN.randint(1, 40),
                "age": DRAWN.randint(18, 80),
                "price": round(DRAWN.random() * 50, 2),
                "colour": DRAWN.choice(["red", "green", "blue"]),
                "shown_at": f"2020-01-{1 + 28 * i // n:02d} 10:{DRAWN.randint(10, 59)}:00",
                "duration": round(300 * DRAWN.random() + 600 * bought, 1),
                "constant": 7,
                "bought": "yes" if bought else "no",
            }
        )
    return rows


def text_of(rows: list[dict[str, Any]], separator: str = ",") -> str:
    lines = [separator.join(rows[0])]
    lines += [separator.join(map(str, row.values())) for row in rows]
    return "\n".join(lines) + "\n"


@pytest.fixture
def init(command: Command, tmp_path: Path) -> Callable[..., tuple[Config, str, str]]:
    """Runs init; returns the configuration, its text, and what was printed."""

    def run(*arguments: object) -> tuple[Config, str, str]:
        ended = command("pipelines/init.py", *arguments, "--force")
        assert ended.returncode == 0, ended.stderr
        file = tmp_path / "config.yaml"
        return load_config(file), file.read_text(), ended.stderr

    return run


def test_a_shops_log_is_described(init: Callable[..., Any], tmp_path: Path) -> None:
    file = tmp_path / "shop.csv"
    file.write_text(text_of(shop_rows()))
    config, text, printed = init(file)
    assert dict(config.log.columns) == {
        "id": "unused",
        "user_id": "integer",
        "age": "continuous",
        "price": "continuous",
        "colour": "string",
        "shown_at": "time",
        "duration": "unused",
        "constant": "unused",
        "bought": "label",
    }
    assert config.name == "shop" and config.log.files == ("shop.csv",)
    assert config.label.click == ("yes",)
    assert config.split.by == "time"
    assert "by: group, column: user_id" in text
    assert "Embedding tables: about" in text and "continuous" in text
    assert "duration: left out, may be known only afterwards" in printed
    assert f"--config config.yaml --data {tmp_path}" in printed


def test_json_has_what_was_inferred_what_to_check_and_the_file(
    command: Command, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "shop.csv"
    log.write_text(text_of(shop_rows()))

    def events() -> list[dict[str, Any]]:
        assert command("pipelines/init.py", log, "--json").stderr == ""
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    inferred, *checks, written = events()
    config = load_config(tmp_path / "config.yaml")
    assert inferred.pop("time") and 0 < inferred.pop("clicks") < N
    assert inferred == {
        "event": "inferred",
        "name": "shop",
        "label": "bought",
        "click": ["yes"],
        "at_least": None,
        "rows": N,
        "split": "time",
        "columns": dict(config.log.columns),
        "tables": {},
    }
    assert {check["event"] for check in checks} == {"warning"}
    assert any(c["text"].startswith("duration: left out, may be known only") for c in checks)
    assert (written["event"], written["file"]) == ("written", "config.yaml")
    assert written["next"] == f"plumbline run --config config.yaml --data {tmp_path}"
    (error,) = events()
    assert error["event"] == "error" and error["status"] == 2 and "--force" in error["text"]


@pytest.mark.parametrize("separator", [";", "\t", "|", "::"])
def test_separators(init: Callable[..., Any], tmp_path: Path, separator: str) -> None:
    file = tmp_path / "shop.csv"
    file.write_text(text_of(shop_rows(), separator))
    config, _, _ = init(file)
    assert config.log.separator == separator and config.label_column == "bought"


@pytest.mark.parametrize(
    ("name", "packed"),
    [
        ("a.csv.gz", gzip.compress),
        ("a.csv.bz2", bz2.compress),
        ("a.xz", lzma.compress),
        ("a.csv.zst", lambda text: pa.compress(text, "zstd", asbytes=True)),
        ("packed.csv", gzip.compress),  # by content, not by name
    ],
)
def test_compressed_files(
    init: Callable[..., Any], tmp_path: Path, name: str, packed: Callable[[bytes], bytes]
) -> None:
    (tmp_path / name).write_bytes(packed(text_of(shop_rows()).encode()))
    config, _, _ = init(tmp_path / name)
    assert config.label_column == "bought" and len(config.features) == 4


def test_a_parquet_folder_of_parts(init: Callable[..., Any], tmp_path: Path) -> None:
    folder = tmp_path / "log"
    folder.mkdir()
    (folder / "_SUCCESS").touch()
    rows = shop_rows()
    for part in range(3):
        frame = pl.DataFrame(rows[part::3]).with_columns(
            tags=pl.lit(["a", "b"]), bought=pl.col("bought") == "yes"
        )
        frame.write_parquet(folder / f"part-{part}.parquet")
    config, _, printed = init(folder)
    assert config.log.format == "parquet" and config.log.files == ()
    assert config.log.columns["tags"] == "string_list"
    assert config.label.click == () and config.label_column == "bought"
    assert f"--data {folder}" in printed


def test_columns_in_the_names_of_folders(init: Callable[..., Any], tmp_path: Path) -> None:
    rows = [{name: row[name] for name in row if name != "user_id"} for row in shop_rows()]
    for index, country in enumerate(["de", "fr"]):
        folder = tmp_path / "log" / f"country={country}" / "kind=x"
        folder.mkdir(parents=True)
        (folder / "part-0.csv").write_text(text_of(rows[index::2]))
    config, text, _ = init(tmp_path / "log")
    assert config.log.columns["country"] == "string" and config.log.columns["kind"] == "unused"
    assert config.log.columns["bought"] == "label" and config.log.files == ()
    assert "in the folders' names, 2 values" in text


def test_files_of_the_same_columns_are_parts_and_others_are_joined(
    init: Callable[..., Any], tmp_path: Path
) -> None:
    rows = shop_rows()
    (tmp_path / "day_1.csv").write_text(text_of(rows[: N // 2]))
    (tmp_path / "day_2.csv").write_text(text_of(rows[N // 2 :]))
    users = "user_id,city,age\n" + "".join(f"{i},city{i % 5},1\n" for i in range(1, 40))
    (tmp_path / "users.csv").write_text(users)
    (tmp_path / "notes.csv").write_text("a,b\n1,2\n3,4\n")
    names = ["day_1.csv", "day_2.csv", "users.csv", "notes.csv"]
    config, _, printed = init(*(tmp_path / name for name in names))
    assert config.log.files == ("day_1.csv", "day_2.csv")
    assert dict(config.tables["users"].columns) == {
        "user_id": "key",
        "city": "string",
        "age": "unused",
    }
    assert "of the rows looked at have a 'user_id' that it does not hold" in printed
    assert "notes.csv: left out, no column" in printed


def test_a_rating_without_a_header_and_its_tables(init: Callable[..., Any], tmp_path: Path) -> None:
    folder = tmp_path / "films"
    folder.mkdir()
    lines = [
        f"{DRAWN.randint(1, 90)}::{DRAWN.randint(1, 300)}::{DRAWN.randint(1, 5)}::{9e8 + i:.0f}"
        for i in range(4000)
    ]
    (folder / "ratings.dat").write_text("\n".join(lines) + "\n")
    users = "".join(f"{i}::{'MF'[i % 2]}::{i % 50 + 10}\n" for i in range(1, 91))
    (folder / "users.dat").write_text(users)
    films = "".join(f"{i}::Title é {i}::{'Drama|War' if i % 2 else 'War'}\n" for i in range(1, 301))
    (folder / "movies.dat").write_bytes(films.encode("latin-1"))
    config, _, printed = init(folder)
    assert dict(config.log.columns) == {
        "c1": "integer",
        "c2": "integer",
        "c3": "label",
        "c4": "time",
    }
    assert config.label.at_least == 4 and "a rating of 4 or more" in printed
    assert config.log.files == ("ratings.dat",) and config.log.separator == "::"
    assert (config.tables["users"].key, config.tables["movies"].key) == ("c1", "c2")
    assert config.tables["movies"].encoding == "latin-1"
    assert config.tables["movies"].columns["movies_c2"] == "unused"


def test_names_that_yaml_would_misread(init: Callable[..., Any], tmp_path: Path) -> None:
    names = ["on", "2020", "null", "a: b", "x [eur]", "#", "- y", "é\u2028", "*", "a1..a3", ""]
    lines = [",".join([*names, "click"])]
    lines += [
        ",".join([*(f"{DRAWN.random():.3f}" for _ in names), str(DRAWN.randint(0, 1))])
        for _ in range(100)
    ]
    (tmp_path / "odd.csv").write_text("\n".join(lines) + "\n")
    config, _, printed = init(tmp_path / "odd.csv")
    assert list(config.features) == names[:-2]
    assert "a1..a3" in printed and "no name" in printed


def test_words_numbers_and_blanks(init: Callable[..., Any], tmp_path: Path) -> None:
    lines = ["Preis; Stadt; Klick"]
    lines += [
        f"{DRAWN.choice(['1.234,5', '12,25', 'NA'])}; {DRAWN.choice('ab')}; {DRAWN.choice('jjnnn')}"
        for _ in range(200)
    ]
    (tmp_path / "de.csv").write_bytes("\n".join(lines).encode("latin-1"))
    config, text, _ = init(tmp_path / "de.csv", "--label", "Klick", "--click", "j")
    log = config.log
    assert (log.separator, log.trim, log.decimal, log.thousands) == (";", True, ",", ".")
    assert log.missing == ("NA",) and config.label.click == ("j",)
    assert "named by --label; clicks named by --click" in text


def test_a_column_that_only_clicks_have_is_left_out(
    init: Callable[..., Any], tmp_path: Path
) -> None:
    rows = []
    for _ in range(N):
        click = DRAWN.random() < 0.2
        rows.append(
            {
                "app": DRAWN.randint(1, 20),
                "attributed_id": DRAWN.randint(1, 9) if click else "",
                "strong": round(DRAWN.random() + click * 0.7, 3),
                "is_attributed": int(click),
            }
        )
    (tmp_path / "ads.csv").write_text(text_of(rows))
    config, text, printed = init(tmp_path / "ads.csv")
    assert config.log.columns["attributed_id"] == "unused"
    assert config.log.columns["strong"] == "continuous"
    assert "attributed_id: left out, may be known only afterwards" in printed
    assert "strong: alone it ranks clicks with an AUC of" in printed
    assert yaml.safe_load(text)["log"]["columns"]["strong"] == "continuous"


@pytest.mark.parametrize(
    ("content", "arguments", "message"),
    [
        (b"a,b\n" + b"1.5,x\n2.5,y\n3.5,z\n" * 9, (), "No column looks like a label"),
        (b"a,click\n" + b"1,0\n2,1\n" * 9, ("--label", "clik"), "did you mean 'click'?"),
        (b"a,click\n" + b"1,0\n2,1\n" * 9, ("--click", "yes"), "no row looked at has it"),
        (b"", (), "the file is empty"),
        (b"PK\x03\x04" + b"\0" * 40, (), "a zip archive"),
        (b"PAR1" + b"\0" * 40, (), "cannot be read as Parquet"),
        (b"\x1f\x8b\x08\x00" + b"\0" * 40, (), "cannot be read"),
        (b"a,b,click\n", (), "only a header"),
    ],
)
def test_what_cannot_be_described_is_one_line(
    command: Command, tmp_path: Path, content: bytes, arguments: tuple[str, ...], message: str
) -> None:
    (tmp_path / "log.csv").write_bytes(content)
    ended = command("pipelines/init.py", tmp_path / "log.csv", *arguments)
    assert ended.returncode == 2
    assert ended.stderr.startswith("error: ") and ended.stderr.count("\n") == 1
    assert message in ended.stderr
    assert not (tmp_path / "config.yaml").exists()


def test_a_configuration_is_not_written_over(command: Command, tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(text_of(shop_rows()))
    (tmp_path / "mine.yaml").write_text("name: mine\n")
    ended = command("pipelines/init.py", tmp_path / "log.csv", "--out", "mine.yaml")
    assert ended.returncode == 2 and "--force" in ended.stderr
    assert (tmp_path / "mine.yaml").read_text() == "name: mine\n"
