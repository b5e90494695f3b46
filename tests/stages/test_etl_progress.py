"""The bar of stage etl: what is read to fit and what is encoded add up to its total."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from plumbline.base.manifest import Manifest
from plumbline.stages import etl
from tests.stages.appended_days import appended, day_file, finished, run_of

GRAPH = """
from nvtabular import ops
def graph(kinds):
    return (["x"] >> ops.FillMedian() >> ops.Normalize()) + (["c"] >> ops.Categorify())
"""


@pytest.fixture
def bars(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, list[int]]]:
    """The total of each bar of the stage, and its advances."""
    found: list[tuple[int, list[int]]] = []

    @contextmanager
    def recorded(description: str, total: int) -> Iterator[Callable[[int], None]]:
        found.append((total, []))
        yield found[-1][1].append

    monkeypatch.setattr(etl, "progress_bar", recorded)
    return found


@pytest.mark.parametrize(
    ("engine", "keeps", "passes"),
    [("native", False, 2), ("nvtabular", False, 3), ("nvtabular", True, 5)],
)
def test_the_bar_reaches_its_total(
    tmp_path: Path, bars: list[tuple[int, list[int]]], engine: str, keeps: bool, passes: int
) -> None:
    """Normalize needs the median: two passes of the native engine. NVTabular's operators that learn
    are three, and statistics to append to are learned by the native engine after them.
    """
    (tmp_path / "graph.py").write_text(GRAPH)
    changes: dict[str, Any] = {
        "workflow": {"graph": f"{tmp_path}/graph.py:graph", "options": {}},
        "append": {"keep_statistics": keeps},
    }
    run = run_of(day_file(tmp_path, 0), engine=engine, **changes)
    folder = finished(run, tmp_path / "run", ("ingest", "etl"))
    rows = Manifest.read(folder / "ingest").rows
    total, advances = bars[0]
    assert total == sum(advances) == sum(rows.values()) + passes * rows["train"]


def test_a_frozen_plan_is_not_fitted(tmp_path: Path, bars: list[tuple[int, list[int]]]) -> None:
    parent = finished(run_of(day_file(tmp_path, 0)), tmp_path / "shop", ("ingest", "etl", "train"))
    frozen = {"append": {"statistics": "frozen"}}
    day = appended(
        tmp_path / "day", parent, day_file(tmp_path, 1), stages=("ingest", "etl"), **frozen
    )
    _, _, (total, advances), _ = bars
    assert total == sum(advances) == sum(Manifest.read(day / "ingest").rows.values())
