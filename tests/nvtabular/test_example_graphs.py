"""The graphs in `workflows/` and the example of docs/from_nvtabular.md, on drawn rows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from plumbline.base.errors import ConfigError
from plumbline.columns.typed import TypedParquet, typed_schema
from plumbline.features.engine.native_engine import NativeEngine
from plumbline.features.plan.plan import read_plan
from plumbline.nvtabular.engine import NVTabularEngine
from plumbline.nvtabular.graphs import build
from plumbline.settings import WorkflowSettings
from tests.conftest import Command
from tests.contract.tables import assert_same, no_progress, online, read, write_splits
from tests.docs.blocks import blocks_of, blocks_run_by
from tests.docs.command_lines import simple_commands

SHOP: dict[str, Any] = {
    "event_time": "time",
    "user_id": "integer",
    "product_id": "integer",
    "brand": "string",
    "category_code": "string",
    "price": "continuous",
}
FILMS: dict[str, Any] = {
    "user": "integer",
    "item": "integer",
    "genres": "string_list",
    "gender": "string",
    "occupation": "string",
    "age": "continuous",
    "zip": "string",
}
COUNTS: dict[str, Any] = {"i1": "continuous", "i2": "continuous", "c1": "hex", "c2": "string"}
STAGES = {"user": ["user_id"], "item": ["product_id", "brand", "price"]}
PATHS = ["home.kitchen", "home", "toys.games.board", "toys"]


def drawn(kinds: dict[str, Any], rows: int, seed: int) -> pa.Table:
    """Rows with missing values in every column."""
    rng = np.random.default_rng(seed)
    of_kind = {
        "time": lambda: int(1_700_000_000_000_000 + rng.integers(10**13)),
        "integer": lambda: int(rng.integers(9)),
        "hex": lambda: int(rng.integers(9)),
        "string": lambda: PATHS[rng.integers(len(PATHS))],
        "string_list": lambda: [PATHS[n] for n in rng.integers(len(PATHS), size=rng.integers(3))],
        "continuous": lambda: float(rng.integers(1, 70)),
    }
    columns = {
        name: [of_kind[kind]() if rng.random() > 0.1 else None for _ in range(rows)]
        for name, kind in kinds.items()
    }
    columns["click"] = rng.integers(0, 2, rows).tolist()
    return pa.table(columns, schema=typed_schema(kinds))


@pytest.mark.parametrize(
    ("graph", "options", "kinds"),
    [
        ("criteo", {"frequency_threshold": 6}, COUNTS),
        ("criteo", {"max_size": 6}, COUNTS),
        ("movielens", {"groups": True, "folds": 1}, FILMS),
        ("ecommerce", {"folds": 1}, SHOP),
        ("multi_stage", STAGES, SHOP),
    ],
)
@pytest.mark.timeout(120)
def test_a_shipped_graph(
    graph: str, options: dict[str, Any], kinds: dict[str, Any], tmp_path: Path
) -> None:
    splits = write_splits(tmp_path / "raw", drawn(kinds, 200, 1), drawn(kinds, 50, 2))
    built = build(WorkflowSettings(graph=graph, options=options), kinds, 200)
    native = NativeEngine(built.plan)
    native.fit_transform(TypedParquet(splits, kinds), tmp_path / "native", no_progress)
    test = read(tmp_path / "native/test")
    assert_same(test, online(read_plan(tmp_path / "native/plan"), read(splits["test"])))
    NVTabularEngine("cpu", None).fit_transform(
        built.workflow, kinds, splits, tmp_path / "nvtabular", no_progress
    )
    assert_same(test, read(tmp_path / "nvtabular/test"))


def test_the_parts_of_a_multi_stage_graph() -> None:
    workflow = build(WorkflowSettings(graph="multi_stage", options=STAGES), SHOP, 1).workflow
    assert workflow.subworkflows == ["user", "item", "context"]
    with pytest.raises(ConfigError, match="'shop' is no column of the log"):
        build(WorkflowSettings(graph="multi_stage", options={**STAGES, "user": ["shop"]}), SHOP, 1)


@pytest.mark.timeout(120)
def test_the_page_for_notebooks(command: Command, tmp_path: Path) -> None:
    graph, run = blocks_run_by(__file__, "docs/from_nvtabular.md")
    (settings,) = (b for b in blocks_of(graph.page) if b.language == "yaml")
    (tmp_path / "shop.py").write_text(graph.text)
    (tmp_path / "shop.yaml").write_text(settings.text)
    rows = {
        "user": [n % 7 for n in range(200)],
        "item": [f"i{n % 5}" for n in range(200)],
        "seen": [f"2026-03-01T{n % 24:02d}:00:00" for n in range(200)],
        "price": [0.0 if n % 4 == 0 else n for n in range(200)],
        "bought": [n % 3 // 2 for n in range(200)],
    }
    pl.DataFrame(rows).write_csv(tmp_path / "log.csv")
    (words,) = simple_commands(run.text)
    done = command("plumbline/__main__.py", *words[1:], "--to", "etl")
    assert done.returncode == 0, done.stderr
    assert "left out: 30 of 120 training rows" in done.stderr
    manifest = json.loads((tmp_path / "runs/shop/etl/manifest.json").read_text())
    rows_of = [manifest["rows"][split] for split in ("train", "valid", "test")]
    assert rows_of == [90, 40, 40]
    assert manifest["facts"]["training_rows_left_out"] == 30
    encoded = pq.read_table(tmp_path / "runs/shop/etl/test")
    assert encoded.column_names == ["user", "item", "hour", "price", "click"]
    assert len(read_plan(tmp_path / "runs/shop/etl/plan").conditions) == 1
