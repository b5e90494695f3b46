"""The graphs on the pages about graphs and operators compile, and make what the pages say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from plumbline.nvtabular.compile import compile_unfitted
from plumbline.nvtabular.graphs import build
from plumbline.nvtabular.library import Workflow, ops
from plumbline.settings import WorkflowSettings
from tests.docs.blocks import blocks_run_by

KINDS: dict[str, Any] = {
    "seen": "time",
    "clicks": "continuous",
    "views": "continuous",
    "title": "string",
    "user": "integer",
    "price": "continuous",
}


def test_the_function_of_the_page_about_graphs(tmp_path: Path) -> None:
    (block,) = blocks_run_by(__file__, "docs/graphs.md")
    (tmp_path / "shop.py").write_text(block.text)
    kinds: dict[str, Any] = {"user": "integer", "hour": "integer", "price": "continuous"}
    settings = WorkflowSettings(graph=f"{tmp_path}/shop.py:graph", options={"buckets": 500})
    plan = build(settings, kinds, training_rows=20_000).plan
    assert [column.name for column in plan.outputs] == ["user", "hour", "user_X_hour"]


def test_the_expressions_of_the_page_about_operators() -> None:
    names: dict[str, Any] = {}
    expressions, condition = blocks_run_by(__file__, "docs/operators.md")
    exec(expressions.text, names)
    nodes = names["weekday"] + names["hour"] + names["rate"] + names["brand"]
    outputs = compile_unfitted(Workflow(nodes), KINDS).outputs
    assert [column.name for column in outputs] == [
        "seen_day_of_week", "seen_hour_sine", "seen_hour_cosine", "rate", "title",
    ]  # fmt: skip
    exec(condition.text, names)
    ids = names["bought"]["user"] >> ops.Categorify()
    kept = compile_unfitted(Workflow(ids + names["bought"]["price"]), KINDS)
    assert len(kept.conditions) == 1
