"""The README's graph runs, from the log to the plan."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import yaml

from plumbline.features.plan.plan import read_plan
from tests.conftest import Command
from tests.docs.blocks import blocks_of, blocks_run_by

(GRAPH,) = blocks_run_by(__file__, "README.md")
(SETTINGS,) = (block for block in blocks_of(GRAPH.page) if block.language == "yaml")


def test_the_graph_of_the_readme_runs(command: Command, tmp_path: Path) -> None:
    assert len(GRAPH.text.splitlines()) <= 15
    rng = np.random.default_rng(1)
    rows = [
        f"{rng.integers(9)},{rng.integers(30)},{'abc'[rng.integers(3)]},{rng.random():.3f},{n % 2}"
        for n in range(400)
    ]
    (tmp_path / "log.csv").write_text("user,item,category,price,click\n" + "\n".join(rows) + "\n")
    (tmp_path / "shop.py").write_text(GRAPH.text)
    kinds = {"user": "integer", "item": "integer", "category": "string", "price": "continuous"}
    config = {
        "name": "shop",
        "log": {"columns": {**kinds, "click": "label"}},
        "split": {"by": "rows", "valid": 0.2, "test": 0.2},
        **yaml.safe_load(SETTINGS.text),
    }
    file = tmp_path / "config.yaml"
    file.write_text(yaml.safe_dump(config, sort_keys=False))
    done = command("pipelines/run_all.py", "--config", file, "--data", "log.csv", "--to", "etl")
    assert done.returncode == 0, done.stderr
    plan = read_plan(tmp_path / "runs/shop/etl/plan")
    assert {column.name: column.is_categorical for column in plan.outputs} == {
        "user": True, "item": True, "user_X_category": True, "TE_item_click": False, "price": False,
    }  # fmt: skip
    (crossed,) = [column for column in plan.outputs if column.name == "user_X_category"]
    assert crossed.cardinality == 500
