"""The file that trained a model is scored without options, to the scores of the evaluation."""

import bz2
import csv
import json
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
import yaml

from plumbline.serving.client.client import Client
from plumbline.serving.launch.server import TritonServer
from plumbline.serving.repository.configs import parameters_in, read_config
from tests.conftest import Command

ROWS = 500
SETTINGS = {
    "name": "case",
    "split": {"by": "rows", "valid": 0.2, "test": 0.2},
    "workflow": {"graph": "standard"},
    "model": {"embedding_dim": 4, "bottom_mlp": [8, 4], "top_mlp": [8]},
    "training": {"epochs": 1, "batch_size": 64},
}


def trained(command: Command, folder: Path, log: dict[str, Any], data: Path, **more: Any) -> Path:
    """The folder of a run up to its export."""
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump({**SETTINGS, "log": log, **more}, sort_keys=False))
    out = folder / "run"
    done = command(
        "pipelines/run_all.py", "--config", config, "--data", data, "--out", out, "--to", "export"
    )
    assert done.returncode == 0, done.stderr
    return out


def offline(run: Path) -> np.ndarray:
    """The scores of the log's last rows, which are the valid and the test split."""
    files = [run / "evaluate" / f"{split}.parquet" for split in ("valid", "test")]
    return np.concatenate([pq.read_table(file)["probability"].to_numpy() for file in files])


@contextmanager
def served(run: Path) -> Iterator[TritonServer]:
    repository = run / "export" / "model_repository"
    with TritonServer(repository, run / "server") as server:
        yield server


def check_scores(
    command: Command, server: TritonServer, file: Path, expected_B: np.ndarray, *options: object
) -> pa.Table:
    """Score `file`, which has the log's last rows last; gives what was written."""
    out = file.parent / "scores.parquet"
    done = command(
        "serving/client.py", "score", file, "--url", server.grpc_url, "--out", out, "--force",
        *options,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    (summary,) = done.stderr.splitlines()
    assert " rows in " in summary and str(out) in summary, "without a word more"
    found = pq.read_table(out)
    scores_B = found["click_probability"].to_numpy()
    assert len(scores_B) >= len(expected_B)
    np.testing.assert_allclose(scores_B[-len(expected_B) :], expected_B, rtol=0, atol=1e-6)
    return found


def labels() -> list[int]:
    return [number * 7 % 5 // 3 for number in range(ROWS)]


WORDS = ["plain", "a;b", "it's", 'say "x"', "größe", " blank ", "[b]x[/b]", ""]


def text_rows() -> list[dict[str, str]]:
    return [
        {
            "click": str(click),
            "id": f'n\'{n}; "é"',
            "price [£]": "" if n % 11 == 0 else f"{n / 7:.3f}",
            "hour": str(n % 24 - 3),
            "device": f"{n % 9 + 2**40:x}",
            "word": WORDS[n % len(WORDS)],
            "tags": "|".join(WORDS[k] for k in range(n % 4)),
            "seen": "" if n % 5 == 0 else f"{n % 3}||{n % 7}",
            "is_new": str(n % 2),
            "is_hot": str(n // 2 % 2),
            "user": str(n % 6),
        }
        for n, click in enumerate(labels())
    ]


def write_text(file: Path, rows: list[dict[str, str]]) -> None:
    with file.open("w", encoding="latin-1", newline="") as stream:
        writer = csv.DictWriter(
            stream, list(rows[0]), delimiter=";", quotechar="'", lineterminator="\n"
        )
        writer.writeheader()
        writer.writerows(rows)


def test_text_of_every_kind_with_quotes_flags_and_a_side_table(
    command: Command, tmp_path: Path
) -> None:
    dialect = {"separator": ";", "quote": "'", "encoding": "latin-1", "list_separator": "|"}
    log = {
        **dialect,
        "columns": {
            "click": "label",
            "price [£]": "continuous",
            "hour": "integer",
            "device": "hex",
            "word": "string",
            "tags": "string_list",
            "seen": "integer_list",
            "is_new": "flag",
            "is_hot": "flag",
            "user": "integer",
        },
        "multi_hot": {"state": ["is_new", "is_hot"]},
    }
    users = {"file": "users.txt", "separator": "\t", "columns": {"user": "key", "town": "string"}}
    data = tmp_path / "log"
    data.mkdir()
    rows = text_rows()
    write_text(data / "clicks.txt", rows)
    (data / "users.txt").write_text('user\ttown\n1\tOslo\n2\t"Rome"\n3\t\n', encoding="utf-8")
    run = trained(command, tmp_path, log, data / "clicks.txt", tables={"users": users})
    expected_B = offline(run)
    assert len(set(expected_B.tolist())) > 20, "the rows differ"
    with served(run) as server:
        found = check_scores(command, server, data / "clicks.txt", expected_B, "--keep", "id,word")
        assert found.num_rows == ROWS
        assert found["id"].to_pylist() == [row["id"] for row in rows]
        assert found["word"].to_pylist() == [row["word"] or None for row in rows]

        without = [{k: v for k, v in row.items() if k != "click"} for row in rows]
        write_text(data / "new.txt", without)
        check_scores(command, server, data / "new.txt", expected_B, "--batch-rows", 33)

        towns = {"1": "Oslo", "2": '"Rome"'}
        complete = [{**row, "town": towns.get(row["user"], "")} for row in without]
        (tmp_path / "alone").mkdir()
        write_text(tmp_path / "alone" / "rows.txt", complete)
        check_scores(command, server, tmp_path / "alone" / "rows.txt", expected_B)

        kept = ["--keep", "id,price [£]"]
        done = command(
            "serving/client.py", "score", data / "clicks.txt", "--url", server.grpc_url,
            "--out", tmp_path / "scores.csv", *kept,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        scores = pa_csv.read_csv(tmp_path / "scores.csv")
        assert scores["id"].to_pylist() == [row["id"] for row in rows]
        assert scores.column_names == ["id", "price [£]", "click_probability"]

        (data / "users.txt").write_text("user\ttown\n1\tParis\n", encoding="utf-8")
        url = ["--url", server.grpc_url, "--out", tmp_path / "other.csv"]
        done = command("serving/client.py", "score", data / "clicks.txt", *url)
        assert done.returncode == 0
        assert "warning: " in done.stderr
        assert "users.txt: is not the file that training joined" in done.stderr


@pytest.mark.slow
def test_quotes_that_the_log_reads_as_text(command: Command, tmp_path: Path) -> None:
    words = ['"cheap"', "plain", 'tv 40" wide', '"open']
    lines = [f"{click},0.5,{words[n % 4]}" for n, click in enumerate(labels())]
    data = tmp_path / "log.csv"
    data.write_text("\n".join(["y,x,s", *lines]) + "\n")
    log = {"columns": {"y": "label", "x": "continuous", "s": "string"}}
    run = trained(command, tmp_path, log, data)
    with served(run) as server:
        assert check_scores(command, server, data, offline(run)).num_rows == ROWS
        data.write_text("\n".join(["y,x,s", *lines, "1,0.5"]) + "\n")
        url = ["--url", server.grpc_url, "--out", tmp_path / "torn.csv"]
        done = command("serving/client.py", "score", data, *url)
        assert done.returncode == 2
        assert f"log.csv:{ROWS + 2}: wanted 3 fields, found 2" in done.stderr
        assert not (tmp_path / "torn.csv").exists(), "no part of a result"


FORMS = {
    "separator": "::",
    "quote": '"',
    "encoding": "utf-16",
    "trim": True,
    "missing": ["NA", "\\N"],
    "decimal": ",",
    "thousands": ".",
    "list_separator": "|",
}


def forms_text() -> str:
    lines = ["clicked::price::count::big::flag::word::seen"]
    for number, click in enumerate(labels()):
        price = "NA" if number % 7 == 0 else f" 1.{number % 900 + 100},5 "
        count = f"{number % 6}.000" if number % 2 else f"{number % 6}"
        big = 2**64 - 1 - number % 5
        flag = ("TRUE", "no", "\\N", "1", "f")[number % 5]
        word = ('"two\nlines"', '"a::b"', "NA", " größe ", "x")[number % 5]
        seen = "|".join(["NA", "7", "8,0"][: number % 4])
        lines.append("::".join([("no", "yes")[click], price, count, str(big), flag, word, seen]))
    return "\n".join(lines) + "\n"


@pytest.mark.slow
def test_text_with_its_own_words_and_formats_compressed_in_folders(
    command: Command, tmp_path: Path
) -> None:
    log = {
        **FORMS,
        "columns": {
            "clicked": "label",
            "price": "continuous",
            "count": "integer",
            "big": "integer",
            "flag": "boolean",
            "word": "string",
            "seen": "integer_list",
            "place": "string",
        },
    }
    folder = tmp_path / "log"
    (folder / "place=K%C3%B6ln").mkdir(parents=True)
    (folder / "_SUCCESS").touch()
    file = folder / "place=K%C3%B6ln" / "part-0.csv"
    file.write_bytes(bz2.compress(forms_text().encode("utf-16")))
    (folder / "place=K%C3%B6ln" / "part-1.csv").touch()
    run = trained(command, tmp_path, log, folder, label={"click": ["yes"]})
    expected_B = offline(run)
    assert len(set(expected_B.tolist())) > 20, "the rows differ"
    with served(run) as server:
        found = check_scores(command, server, folder, expected_B, "--keep", "place,word")
        assert found.num_rows == ROWS
        assert set(found["place"].to_pylist()) == {"Köln"}
        assert found["word"].to_pylist()[:2] == ["two\nlines", "a::b"]
        check_scores(command, server, file, expected_B)
        with Client(server.grpc_url, "grpc") as client:
            words = {"word": "two\nlines", "place": "Köln", "price": "1.234,5", "flag": "TRUE"}
            row = {**words, "count": "3.000", "big": 2**64 - 1, "seen": [7, 8]}
            assert np.isfinite(client.score(row)).all()


def parquet_table() -> tuple[dict[str, str], pa.Table]:
    """Column to kind, and a column of each type that a kind is read from."""
    numbers = [None if n % 13 == 0 else n * 7 % 9 for n in range(ROWS)]
    whole = [0 if n is None else n for n in numbers]
    texts = [None if n is None else f"a{n}" for n in numbers]
    columns: dict[str, tuple[str, pa.Array]] = {
        "float": ("continuous", pa.array([n / 4 for n in whole], pa.float32())),
        "bool number": ("continuous", pa.array([n > 3 for n in whole])),
        "decimal number": (
            "continuous",
            pa.array([Decimal(n) / 4 for n in whole], pa.decimal128(9, 2)),
        ),
        "int8": ("integer", pa.array(numbers, pa.int8())),
        "uint32": ("integer", pa.array(numbers, pa.uint32())),
        "uint64": ("integer", pa.array(numbers, pa.uint64())),
        "bool": ("integer", pa.array([n > 3 for n in whole])),
        "decimal": ("integer", pa.array([Decimal(n) for n in whole], pa.decimal128(20, 0))),
        "float id": ("integer", pa.array(numbers, pa.float64())),
        "hex": ("hex", pa.array([None if n is None else f"{n + 2**40:x}" for n in numbers])),
        "text": ("string", pa.array(texts)),
        "large": ("string", pa.array(texts, pa.large_string())),
        "word": ("string", pa.array(texts).dictionary_encode()),
        "bytes": ("string", pa.array([f"b{n}".encode() for n in whole])),
        "number": ("string", pa.array(numbers, pa.int64())),
        "numbers": ("integer_list", pa.array([[n, None, 2] for n in whole])),
        "floats": ("integer_list", pa.array([[float(n)] for n in whole])),
        "words": ("string_list", pa.array([None if n == 3 else ["x", f"w{n}"] for n in whole])),
        "ids": ("string_list", pa.array([[n] for n in whole])),
    }
    kinds = {name: kind for name, (kind, _) in columns.items()}
    arrays = {name: array for name, (_, array) in columns.items()}
    return kinds, pa.table({"click": pa.array(labels()), "key": range(ROWS), **arrays})


def test_parquet_of_every_type(command: Command, tmp_path: Path) -> None:
    kinds, table = parquet_table()
    file = tmp_path / "log.parquet"
    pq.write_table(table, file, row_group_size=170)
    log = {"format": "parquet", "columns": {"click": "label", **kinds}}
    run = trained(command, tmp_path, log, file)
    for repository in ("model_repository", "gpu_model_repository"):
        for model in ("ctr_features", "ctr"):
            config = read_config(run / "export" / repository / model / "config.pbtxt")
            rules = json.loads(parameters_in(config)["log"])
            assert (rules["format"], rules["columns"]["uint64"]) == ("parquet", "integer")
    expected_B = offline(run)
    with served(run) as server:
        keep = ["--keep", "key", "--keep", "uint64,decimal,word"]
        found = check_scores(command, server, file, expected_B, *keep)
        for name in ("key", "uint64", "decimal", "word"):
            assert found[name].to_pylist() == table[name].to_pylist()
            assert found.schema.field(name).type == table.schema.field(name).type
        pq.write_table(table.drop_columns("click"), tmp_path / "new.parquet")
        check_scores(command, server, tmp_path / "new.parquet", expected_B)
