"""The snippets of docs/library.md run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
import pytest

from plumbline.serving.repository.export import REPOSITORY_FOLDER
from tests.docs.blocks import blocks_run_by
from tests.serving.releases import ROWS, SETTINGS, export_repository, model_of, write_small_plan

FIT, SCORE = (block.text for block in blocks_run_by(__file__, "docs/library.md"))


def test_fit_and_encode() -> None:
    frame = pl.DataFrame({"price": [1.0, 2.0], "user": [7, 8], "city": ["Oslo", None]})
    names: dict[str, Any] = {"frame": frame}
    exec(FIT, names)
    assert names["encoded"].columns == ["user", "city", "price"]
    assert names["encoded"]["city"].to_list() == [3, 1]


def test_score(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = write_small_plan(tmp_path / "plan", ["Oslo"])
    export = tmp_path / "runs" / "shop" / "export"
    trained = model_of(plan, tmp_path / "model", seed=1)
    assert export_repository(plan, trained, export, SETTINGS, ROWS) == export / REPOSITORY_FOLDER
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"frame": ROWS}
    exec(SCORE, names)
    assert names["probabilities"].shape == (3,)
