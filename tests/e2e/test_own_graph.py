"""A graph of the user's, from the log to the served score, and what is said when it is edited."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import yaml

from plumbline.serving.client.client import Client
from plumbline.serving.launch.server import TritonServer
from tests.conftest import Command

GRAPH = """
from nvtabular import ops
from parts import BOUNDARIES

from plumbline.expressions import Compare, DatePart, Lowercase, RangeIds, Sine


def features(kinds, *, smoothing: float, words: int = 50):
    # Combined, shared and hashed ids; statistics of keys; flags; a dict of buckets.
    pair = [["shop", "word"]] >> ops.Categorify(encode_type="combo", num_buckets=3)
    shared = [["shop", "other"]] >> ops.Categorify(max_size=20)
    price = ["price"] >> ops.FillMissing(0.5, add_binary_cols=True)
    level = price[["price"]] >> ops.Bucketize({"price": BOUNDARIES}) >> ops.Rename(postfix="_level")
    mean = ["shop"] >> ops.JoinGroupby(cont_cols=["price"], stats=["mean", "std"])
    liked = [["shop", "word"]] >> ops.TargetEncoding("click", kfold=3, p_smooth=smoothing)
    numbers = (price + (mean >> ops.FillMissing(0)) + liked) >> ops.NormalizeMinMax()
    # Parts of a time, as ids, as a key and as a number; a comparison; text.
    seen = ["seen"] >> DatePart("hour", "weekend", utc_offset="+02:00")
    hour = seen["seen_hour"] >> RangeIds(0, 23)
    shop = ["shop"] >> ops.AddMetadata()
    cross = (shop + seen["seen_weekend"]) >> ops.HashedCross(50)
    sine = seen["seen_hour"] >> Sine(24) >> ops.FillMissing(0) >> ops.Rename(postfix="_sine")
    late = ["seen"] >> Compare(">=", "2024-01-20") >> ops.FillMissing(0) >> ops.Rename(name="late")
    word = ["word"] >> Lowercase() >> ops.HashBucket(words)
    return pair + shared + level + word + numbers + hour + cross + sine + late
"""
PARTS = "BOUNDARIES = [0.25, 0.5, 0.75]\n"
CONFIG = {
    "name": "own",
    "log": {
        "columns": {
            "shop": "integer",
            "other": "integer",
            "word": "string",
            "price": "continuous",
            "seen": {"kind": "time", "feature": True},
            "click": "label",
        }
    },
    "split": {"by": "rows", "valid": 0.2, "test": 0.2},
    "workflow": {"graph": "graphs/mine.py:features", "options": {"smoothing": 5}},
    "model": {"embedding_dim": 4, "bottom_mlp": [8, 4], "top_mlp": [8]},
    "training": {"epochs": 1, "batch_size": 64},
}
ROWS = 600


def written(folder: Path) -> Path:
    rng = np.random.default_rng(3)
    with (folder / "log.csv").open("w", newline="") as file:
        out = csv.writer(file)
        out.writerow(CONFIG["log"]["columns"])  # type: ignore[index]
        for n in range(ROWS):
            price = "" if n % 13 == 0 else f"{rng.random():.4f}"
            word = "" if n % 17 == 0 else f"w{rng.integers(6)}"
            time = "" if n % 19 == 0 else f"2024-01-{1 + n // 20:02} {n % 24:02}:30:00"
            shop, other = rng.integers(8), rng.integers(12)
            out.writerow([shop, other, word, price, time, int(rng.random() < 0.4)])
    (folder / "settings" / "graphs").mkdir(parents=True)
    (folder / "settings/graphs/mine.py").write_text(GRAPH)
    (folder / "settings/graphs/parts.py").write_text(PARTS)
    config = folder / "settings/own.yaml"
    config.write_text(yaml.safe_dump(CONFIG, sort_keys=False))
    return config


def test_from_a_graph_of_ones_own_to_served_scores(command: Command, tmp_path: Path) -> None:
    config = written(tmp_path)
    line = ["pipelines/run_all.py", "--config", config, "--data", "log.csv"]
    done = command(*line, "--to", "export")
    assert done.returncode == 0, done.stderr
    run = tmp_path / "runs/own"
    rows = pl.read_csv(tmp_path / "log.csv").drop("click")
    tested = rows.slice(int(0.8 * ROWS))
    with (
        TritonServer(run / "export/model_repository", run / "server") as server,
        Client(server.grpc_url, "grpc") as client,
    ):
        served = client.score(tested)
    offline = pq.read_table(run / "evaluate/test.parquet")["probability"].to_numpy()
    np.testing.assert_allclose(served, offline, rtol=0, atol=1e-6)
    assert not list((tmp_path / "settings").rglob("__pycache__/mine*"))

    mine, parts = (tmp_path / "settings/graphs" / name for name in ("mine.py", "parts.py"))
    mine.write_text(GRAPH + "# a comment\n")
    again = command(*line, "--to", "etl")
    assert again.returncode == 0 and "etl: complete, skipped" in again.stderr, again.stderr
    parts.write_text(PARTS.replace("0.5", "0.4"))
    again = command(*line, "--to", "etl")
    assert again.returncode == 2
    (message,) = again.stderr.splitlines()[-1:]
    assert "etl: settings or inputs have changed: the graph has changed. " in message
    assert "--from etl" in message
    again = command(*line, "--to", "etl", "--engine", "nvtabular", "--out", "runs/other")
    assert again.returncode == 0, again.stderr


def test_a_wrong_graph_is_found_before_the_log_is_read(command: Command, tmp_path: Path) -> None:
    config = written(tmp_path)
    mine = tmp_path / "settings/graphs/mine.py"
    mine.write_text(GRAPH.replace("ops.NormalizeMinMax()", "ops.LambdaOp(abs)"))
    done = command("pipelines/run_all.py", "--config", config, "--data", "log.csv")
    assert done.returncode == 2
    (message,) = done.stderr.splitlines()
    assert "Column 'price' uses LambdaOp, which has no compiled form" in message
    assert not (tmp_path / "runs").exists()
