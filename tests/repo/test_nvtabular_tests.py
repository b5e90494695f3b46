"""The harness that tries the workflows of NVTabular's tests, on tests and workflows of our own."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from benchmarks import nvtabular_tests_case
from benchmarks.nvtabular_tests import report, run
from benchmarks.nvtabular_tests_case import (
    ALONE,
    DOCUMENTED,
    EQUAL,
    RAW,
    REFUSED,
    TIES,
    UNDOCUMENTED,
    Fit,
    Outcome,
    tried,
)
from plumbline.nvtabular.library import ColumnSelector, Dataset, Serial, Workflow, ops
from plumbline.nvtabular.quiet import quiet

TESTS = """
import pandas as pd
from nvtabular import Dataset, Workflow, ops

FRAME = pd.DataFrame({"x": [1.0, None, 4.0], "s": ["b", "a", "b"]})


def test_that_passes():
    graph = (["s"] >> ops.Categorify()) + (["x"] >> ops.FillMissing() >> ops.Normalize())
    Workflow(graph).fit_transform(Dataset(FRAME, cpu=True))


def test_that_fails():
    Workflow(["x"] >> ops.LambdaOp(lambda x: x + 1)).fit(Dataset(FRAME, cpu=True))
    raise AssertionError
"""
FRAME = pd.DataFrame({"x": [1.0, np.nan, 4.5], "i": [3, 4, 3], "s": ["b", None, "b"]})


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_workflows_of_tests_are_tried_as_they_are_fitted(tmp_path: Path) -> None:
    (tmp_path / "test_two.py").write_text(TESTS)
    one, two = run([tmp_path], processes=0)
    assert one["test"].endswith("test_that_passes") and one["outcome"] == EQUAL, one["detail"]
    assert two["test"].endswith("test_that_fails") and two["outcome"] == REFUSED
    assert "uses LambdaOp" in two["detail"]


def fit(graph: Any, folder: Path, frame: pd.DataFrame = FRAME) -> Fit:
    """A workflow as the plugin hands it over."""
    before, after = Workflow(graph()), Workflow(graph())
    for node in (after.output_node, *after.output_node.parents):
        if hasattr(node.op, "out_path"):
            node.op.out_path = str(folder)
    data = Dataset(frame, cpu=True)
    with quiet(), Serial():
        encoded = after.fit(data).transform(data).to_ddf().compute()
    return Fit(before, frame, after, encoded)


def numbers() -> Any:
    return ["x"] >> ops.FillMissing(0.0) >> ops.Normalize()


def test_raw_keys_among_the_outputs_are_left_out(tmp_path: Path) -> None:
    assert tried(fit(lambda: numbers() + ColumnSelector(["s", "i"]), tmp_path)) == Outcome(EQUAL)


def test_equal_counts_may_be_in_another_order(tmp_path: Path) -> None:
    """NVTabular's own plan has its order, so only the native engine's may be another one."""
    one = fit(lambda: ["s"] >> ops.Categorify(), tmp_path, pd.DataFrame({"s": ["b", "a", "c"]}))
    file = tmp_path / "categories" / "unique.s.parquet"
    vocabulary = pd.read_parquet(file)
    assert one.encoded is not None and one.encoded["s"].tolist() == [4, 3, 5]
    one.encoded["s"] = [3, 4, 5]
    vocabulary["s"] = vocabulary["s"].replace({"a": "b", "b": "a"})
    vocabulary.to_parquet(file)
    assert tried(one) == Outcome(TIES)


def test_a_documented_difference_has_its_reason(tmp_path: Path) -> None:
    frame = pd.DataFrame({"i": [5] * 16})
    outcome = tried(fit(lambda: ["i"] >> ops.HashBucket(50), tmp_path, frame))
    assert outcome == Outcome(DOCUMENTED, "hashes are mixed with the row's number")


def test_another_result_is_an_undocumented_difference(tmp_path: Path) -> None:
    one = fit(numbers, tmp_path)
    assert one.encoded is not None
    one.encoded["x"] += 0.001
    outcome = tried(one)
    assert outcome.kind == UNDOCUMENTED and outcome.detail.startswith("x, native engine, 3 rows")


def test_a_failure_of_nvtabular_hides_nothing() -> None:
    assert tried(Fit(Workflow(numbers()), FRAME, failure="TypeError: x")).kind == ALONE


def test_an_exception_that_is_no_refusal_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any) -> None:
        raise ValueError("no")

    monkeypatch.setattr(nvtabular_tests_case, "compile_fitted", fails)
    outcome = tried(fit(numbers, tmp_path))
    assert outcome.kind == RAW and outcome.detail.startswith("ValueError: no")


@pytest.mark.parametrize(("outcome", "good"), [(EQUAL, True), (RAW, False), (UNDOCUMENTED, False)])
def test_the_result_is_not_good_with_a_bug(outcome: str, good: bool, tmp_path: Path) -> None:
    refusal = "Column 'x' uses LambdaOp, which has no compiled form. Use expressions."
    cases = [
        {"test": "a", "outcome": outcome, "detail": ""},
        {"test": "b", "outcome": REFUSED, "detail": refusal},
    ]
    assert report(cases, tmp_path / "figures.json") == good
    written = json.loads((tmp_path / "figures.json").read_text())
    assert written["notes"][-1] == "refused: LambdaOp 1"
    assert all(target["met"] for target in written["targets"]) == good
