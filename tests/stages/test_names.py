"""Both engines make the same plan for columns with odd names."""

import csv
import json
import random
from pathlib import Path

import polars as pl
import pytest
import yaml

from tests.conftest import Command

LONG = "n" * 300
NAMES = [
    "*",
    "^a.$",
    "ab",
    "^.*$",
    "x [eur]",
    "[/quote]",
    "[red]",
    "km/h",
    "..",
    ".hidden",
    "a.b",
    "a",
    " blank ",
    'say "hi"',
    "it's",
    "two\nlines",
    "tab\there",
    "\x1b[31mred",
    "back\\slash",
    "Größe",
    "Gro\u0308ße",
    "price",
    "Price",
    "index",
    "level_0",
    "__index_level_0__",
    "__id__",
    "label",
    "on",
    "2020",
    "{name}",
    "%s",
    "$(x)",
    "日本語",
    "😀",
    LONG,
    LONG + "2",
    "é" * 150,
    "CON",
    "null",
]


def write_log(folder: Path, names: list[str], rows: int = 300) -> Path:
    """A third of the columns are numbers, a third integers, a third words."""
    drawn = random.Random(4)
    kinds = ["continuous", "integer", "string"]
    columns: dict[str, list[object]] = {
        name: [
            (drawn.randint(0, 40) / 8, drawn.randint(1, 9), drawn.choice("abc"))[index % 3]
            for _ in range(rows)
        ]
        for index, name in enumerate(names)
    }
    columns["the label"] = [drawn.randint(0, 1) for _ in range(rows)]
    pl.DataFrame(columns).write_parquet(folder / "log.parquet")
    with (folder / "log.csv").open("w", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
    return write_config(folder, {n: kinds[i % 3] for i, n in enumerate(names)})


def write_config(folder: Path, kinds: dict[str, str]) -> Path:
    config = {
        "name": "names",
        "log": {"format": "parquet", "columns": {**kinds, "the label": "label"}},
        "split": {"by": "rows", "valid": 0.2, "test": 0.2},
        "workflow": {"graph": "standard"},
        "model": {"embedding_dim": 4, "bottom_mlp": [4], "top_mlp": [4]},
        "serving": {"latency_requests": 3},
    }
    file = folder / "names.yaml"
    file.write_text(yaml.safe_dump(config, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return file


def test_both_engines_make_the_same_plan(command: Command, tmp_path: Path) -> None:
    config = write_log(tmp_path, NAMES)
    plans = {}
    for engine in ("native", "nvtabular"):
        ended = command(
            "pipelines/run_all.py", "--config", config, "--data", tmp_path / "log.parquet",
            "--out", tmp_path / engine, "--engine", engine, "--to", "etl",
        )  # fmt: skip
        assert ended.returncode == 0, ended.stderr
        plan = tmp_path / engine / "etl" / "plan"
        content = json.loads((plan / "plan.json").read_text())
        plans[engine] = content
        assert {column["name"] for column in content["outputs"]} >= set(NAMES)
        for column in content["outputs"]:
            for step in column["steps"]:
                if "vocabulary" in step:
                    assert (plan / step["vocabulary"]).is_file()
    assert plans["native"] == plans["nvtabular"]


def test_a_text_file_with_odd_names_in_its_header(command: Command, tmp_path: Path) -> None:
    names = [name for name in NAMES if "\n" not in name]
    config = yaml.safe_load(write_log(tmp_path, names).read_text())
    config["log"] |= {"format": "csv", "quote": '"'}
    (tmp_path / "text.yaml").write_text(yaml.safe_dump(config, sort_keys=False))
    ended = command(
        "pipelines/run_all.py", "--config", "text.yaml", "--data", tmp_path / "log.csv",
        "--to", "etl",
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize("name", ["x [eur]", "[/quote]", "[bold]", "\x1b[31mx", "*"])
def test_the_name_of_a_missing_column_is_shown_unchanged(
    command: Command, tmp_path: Path, name: str
) -> None:
    write_log(tmp_path, ["x [usd]", "b"])
    config = write_config(tmp_path, {name: "continuous", "b": "integer"})
    ended = command("pipelines/run_all.py", "--config", config, "--data", tmp_path / "log.parquet")
    assert ended.returncode == 2
    (line,) = [line for line in ended.stderr.splitlines() if line.startswith("error:")]
    assert repr(name)[1:-1].replace("\\\\", "\\") in line.replace("\\\\", "\\")
    assert "among x [usd], b, the label" in line and "\x1b[31m" not in line


@pytest.mark.parametrize("value", ["[/quote]", "[red]x[/red]", "\x1b]0;t\x07", "x" * 5000])
def test_a_refused_value_is_shown_unchanged(command: Command, tmp_path: Path, value: str) -> None:
    (tmp_path / "log.csv").write_text("the label,x\n" + f"1,{value}\n0,2\n" * 150)
    config = yaml.safe_load(write_config(tmp_path, {"x": "continuous"}).read_text())
    config["log"]["format"] = "csv"
    (tmp_path / "text.yaml").write_text(yaml.safe_dump(config))
    ended = command("pipelines/run_all.py", "--config", "text.yaml", "--data", "log.csv")
    assert ended.returncode == 2 and "Traceback" not in ended.stderr
    (line,) = [line for line in ended.stderr.splitlines() if line.startswith("error:")]
    assert "\x1b" not in line and "\x07" not in line and len(line) < 1000
    assert value[:20].replace("\x1b", "x1b").replace("\x07", "x07") in line.replace("\\", "")
