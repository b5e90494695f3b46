"""Runs compared: what differs is shown, which one is best, and what cannot be compared."""

from __future__ import annotations

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from plumbline.base.errors import PlumblineError
from plumbline.cli import app
from plumbline.stages.compare.page import comparison_page
from plumbline.stages.compare.runs import ComparedRun, read_runs
from plumbline.stages.compare.tables import costs, quality, settings, slices
from plumbline.stages.report.blocks import Flagged
from tests.stages.report.sample import HOSTILE, Page, report_of


def report(**evaluate: Any) -> dict[str, Any]:
    made = deepcopy(report_of())
    made["stages"]["ingest"] = {**made["stages"]["etl"], "hash": "1a" * 32}
    made["evaluate"] |= evaluate
    return made


def runs() -> list[ComparedRun]:
    first, second = report(auc=0.71), report(auc=0.72, calibration=0.96)
    second["settings"] |= {"training.epochs": "2", "model.bag": '"sum"'}
    second["versions"] = {"numpy": "2.0.0"}
    second["evaluate"]["slices"]["columns"][0]["slices"][0]["auc"] = 0.9
    second["serve"]["latency_ms"] = deepcopy(second["serve"]["latency_ms"])
    second["serve"]["latency_ms"]["fused"]["1"]["p50"] = 0.25
    return [ComparedRun("first", first), ComparedRun("second", second)]


def test_settings_and_versions_that_differ_are_shown_and_no_others() -> None:
    table = settings(runs())
    assert table.heads == ["Setting", "first", "second"]
    assert table.rows == [
        ["training.epochs", "5", "2"],
        ["model.bag", "–", '"sum"'],
        ["version of numpy", "1.26.4", "2.0.0"],
    ]
    same = settings([runs()[0], ComparedRun("again", report())])
    assert (same.caption, same.rows) == ("No setting differs", [])


def test_the_best_run_is_named_in_each_row() -> None:
    rows = {row[0]: row[1:] for row in quality(runs()).rows}
    assert rows["AUC"] == ["0.7100", Flagged("0.7200", "good", "best")]
    assert rows["Calibration"] == ["1.0500", Flagged("0.9600", "good", "best")]
    assert rows["Log loss"] == ["0.4000", "0.4000"]
    assert rows["Test rows"] == ["100", "100"]
    assert rows["Served as judged"] == ["yes", "yes"]
    latency = {row[0]: row[1:] for row in costs(runs()).rows}["ctr_fused, 1 row, p50 ms"]
    assert latency == ["0.50", Flagged("0.25", "good", "best")]


def test_a_run_that_is_not_served_as_judged_is_flagged() -> None:
    compared = runs()
    compared[1].report["serve"]["ids_identical"] = False
    rows = {row[0]: row[1:] for row in quality(compared).rows}
    assert rows["Served as judged"] == ["yes", Flagged("no", "bad", "scores differ")]


def test_slices_of_columns_that_all_runs_have() -> None:
    (table,) = slices(runs())
    assert table.caption == "AUC by shop"
    assert table.rows == [
        [HOSTILE, "0.6789", Flagged("0.9000", "good", "best")],
        ["(missing)", "–", "–"],
    ]
    compared = runs()
    compared[1].report["evaluate"]["slices"]["columns"][0]["column"] = "user"
    assert slices(compared) == []


def test_a_slice_of_one_run_alone_has_no_best() -> None:
    compared = runs()
    compared[1].report["evaluate"]["slices"]["columns"][0]["slices"][0]["value"] = "another"
    (table,) = slices(compared)
    assert table.rows[0] == [HOSTILE, "0.6789", "–"] and table.rows[2] == ["another", "–", "0.9000"]


@pytest.mark.parametrize(
    ("hash_", "rows", "words"),
    [
        ("1a" * 32, 100, "All runs were judged on the same test rows."),
        ("2b" * 32, 100, "whether they have the same rows is not known"),
        ("2b" * 32, 101, "different test rows"),
    ],
)
def test_the_page_says_whether_the_rows_are_the_same(hash_: str, rows: int, words: str) -> None:
    compared = runs()
    compared[1].report["stages"]["ingest"]["hash"] = hash_
    compared[1].report["rows"]["test"] = rows
    assert words in Page(comparison_page(compared)).text


def test_the_page_has_curves_of_every_run_and_escapes_names() -> None:
    compared = [*runs(), ComparedRun(HOSTILE, report())]
    source = comparison_page(compared)
    shown = Page(source)
    assert "<script" not in source and not any(tag == "script" for tag, _ in shown.tags)
    roc = {row[0] for row in shown.rows("ROC curve")}
    assert roc == {"first", "second", HOSTILE}
    assert shown.rows("Training loss by step")[0] == ["first", "6", "0.7123"]
    assert shown.rows("AUC by shop")[0] == [HOSTILE, "0.6789", "0.9000 best", "0.6789"]


def test_of_many_runs_the_first_are_drawn() -> None:
    compared = [ComparedRun(f"run {i}", report()) for i in range(8)]
    shown = Page(comparison_page(compared))
    assert "the first 6 of 8 runs" in shown.text
    assert {row[0] for row in shown.rows("ROC curve")} == {f"run {i}" for i in range(6)}
    assert len(shown.rows("Costs")[0]) == 9


def written(folder: Path, content: Any) -> Path:
    folder.mkdir(parents=True)
    (folder / "report.json").write_text(json.dumps(content))
    return folder


def test_runs_have_names_that_tell_them_apart(tmp_path: Path) -> None:
    folders = [written(tmp_path / place, report()) for place in ("a/x", "b/x", "c/y")]
    assert [run.name for run in read_runs(folders)] == ["a/x", "b/x", "y"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "wanted the report of a finished run, found none"),
        ([], "it has no rows, ingest"),
        ({"rows": {}, "ingest": {}}, "it has no train, evaluate, serve, stages, settings"),
    ],
)
def test_a_folder_without_a_report_is_refused(tmp_path: Path, content: Any, message: str) -> None:
    good, bad = written(tmp_path / "good", report()), tmp_path / "bad"
    if content is None:
        bad.mkdir()
    else:
        written(bad, content)
    with pytest.raises(PlumblineError, match=message):
        read_runs([good, bad])


def test_a_damaged_report_and_too_few_runs_are_refused(tmp_path: Path) -> None:
    good = written(tmp_path / "good", report())
    (written(tmp_path / "bad", {}) / "report.json").write_text("{")
    with pytest.raises(PlumblineError, match="not readable"):
        read_runs([good, tmp_path / "bad"])
    with pytest.raises(PlumblineError, match="two or more runs, got 1"):
        read_runs([good])
    with pytest.raises(PlumblineError, match="was given twice"):
        read_runs([good, tmp_path / "bad" / ".." / "good"])


def test_the_command_prints_and_writes_a_page(tmp_path: Path) -> None:
    first, second = runs()
    folders = [written(tmp_path / run.name, run.report) for run in (first, second)]
    page = tmp_path / "compared.html"
    done = CliRunner(env={"COLUMNS": "120"}).invoke(
        app, ["compare", *map(str, folders), "--html", str(page)]
    )
    assert done.exit_code == 0, done.output
    assert "training.epochs" in done.output and "0.7200 (best)" in done.output
    assert "All runs were judged on the same test rows." in done.output
    assert Page(page.read_text()).rows("Settings that differ")[0] == ["training.epochs", "5", "2"]
