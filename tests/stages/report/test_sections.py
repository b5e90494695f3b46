"""Every section shows the figures of report.json, in words, tables and drawings."""

from __future__ import annotations

import re
from typing import Any

import pytest

from plumbline.stages.report.page import SECTIONS, page, report_page
from tests.stages.report.sample import HOSTILE, Page, report_of


def section_page(name: str, report: dict[str, Any] | None = None) -> Page:
    (section,) = [one for one in SECTIONS if one.__name__ == name]
    return Page(page("A run", [section(report or report_of())]))


def test_the_sections_are_in_the_order_that_a_reader_asks_them() -> None:
    titles = re.findall(r'<h2 id="[\w-]+">([^<]+)</h2>', report_page(report_of()))
    assert titles == [
        "Verdict",
        "Data",
        "Features",
        "Training",
        "Quality",
        "Serving",
        "What each stage cost",
        "Settings and versions",
    ]


@pytest.mark.parametrize(("ok", "kind"), [(True, "good"), (False, "bad")])
def test_the_verdict_comes_first_and_says_what_to_do(ok: bool, kind: str) -> None:
    source = report_page(report_of(ok=ok, text="THE VERDICT", advice=["try this"]))
    banner = source.index(f'<div class="banner {kind}">')
    assert banner < source.index("THE VERDICT") < source.index("try this")
    assert source.index("try this") < source.index("Read the warnings about the data below (1)")
    assert ("Serve it:" in source) == ok


def test_a_metric_that_is_worse_than_a_baseline_is_flagged() -> None:
    shown = section_page("verdict")
    rows = shown.rows("Quality on the test split")
    assert rows[0] == ["AUC", "0.7000 worse than logistic regression", "0.7100", "0.5000"]
    assert rows[1] == ["Log loss", "0.4000", "0.4321", "0.5123"]
    flags = [attrs["class"] for tag, attrs in shown.tags if tag == "span" and "class" in attrs]
    assert flags == ["bad", "why"]


@pytest.mark.parametrize(
    ("calibration", "shown"), [(1.09, "1.0900"), (0.7, "0.7000 off by more than 10%")]
)
def test_a_calibration_that_is_off_is_flagged(calibration: float, shown: str) -> None:
    report = report_of()
    report["evaluate"]["calibration"] = calibration
    row = section_page("verdict", report).rows("Quality on the test split")[3]
    assert row[1] == shown


@pytest.mark.parametrize(("identical", "difference"), [(False, 0.0), (True, 0.002)])
def test_scores_that_are_not_served_as_judged_are_not_to_be_published(
    identical: bool, difference: float
) -> None:
    report = report_of()
    report["serve"] |= {"ids_identical": identical, "max_abs_score_diff": difference}
    text = section_page("verdict", report).text
    assert "Not served as it was judged." in text and f"{difference:.1e}" in text
    assert "Do not publish this model" in text and "Serve it:" not in text


def test_data_shows_rows_columns_drift_joins_and_leaks() -> None:
    shown = section_page("data")
    assert shown.rows("Rows of each split") == [
        ["train", "3,000", "20.0 %"],
        ["valid", "200", "25.0 %"],
        ["test", "100", "30.0 %"],
    ]
    assert shown.rows("Left out") == [
        ["Malformed lines", "17"],
        ["Training rows, by the graph's Filter and Dropna", "1,200"],
    ]
    assert shown.rows("Columns of the log") == [
        [HOSTILE, "continuous", "12.5 %"],
        ["shop", "hex", "0 %"],
    ]
    assert shown.rows("Inputs of the model") == [
        [
            *("shop", "4,321", "75.0 %", "62.5 % most values", "1.0 %", "0.654"),
            *("0.123 moderate", "0.345 large"),
        ],
        [HOSTILE, "–", "–", "–", "–", "–", "0.000", "–"],
    ]
    assert shown.rows("Keys without a row") == [["users", "33", "1.0 %"]]
    assert shown.rows("Columns that may leak")[0][1:] == ["0.991", "0.995", "0.712"]
    assert f"etl: Column {HOSTILE!r} is constant" in shown.text


def test_ids_that_are_computed_have_no_vocabulary() -> None:
    report = report_of()
    report["etl"]["columns"][0]["known"] = 0
    row = section_page("data", report).rows("Inputs of the model")[0]
    assert row[1:5] == ["4,321", "–", "–", "–"]


def test_clicks_along_the_log_are_shown() -> None:
    shown = section_page("data")
    assert shown.rows("Click rate along the log") == [
        ["1", "1,024", "256", "25.0 %"],
        ["1,025", "1,024", "128", "12.5 %"],
        ["2,049", "1,024", "512", "50.0 %"],
        ["3,073", "228", "57", "25.0 %"],
    ]
    assert shown.rows("Which rows train")[2] == ["2,049", "952", "72", "0"]


def test_a_long_log_has_few_points() -> None:
    report = report_of()
    course = report["ingest"]["course"]
    course["rows"], course["clicks"] = [1024] * 200, list(range(200))
    course["splits"] = {"train": [1000] * 200, "valid": [12] * 200, "test": [12] * 200}
    rows = section_page("data", report).rows("Click rate along the log")
    assert len(rows) == 50
    assert rows[1] == ["4,097", "4,096", f"{4 + 5 + 6 + 7}", "0.54 %"]


def test_features_are_shown_as_graph_and_as_formulas() -> None:
    shown = section_page("features")
    assert shown.rows("How each input is made") == [
        [HOSTILE, "float32", "–", f"{HOSTILE} → fill_missing → log"],
        ["shop", "int64", "4,321", f"(shop, {HOSTILE} → fill_missing → log) → categorify"],
    ]
    boxes = [attrs for tag, attrs in shown.tags if tag == "rect"]
    assert [one["class"] for one in boxes].count("node raw") == 3
    assert [one["class"] for one in boxes].count("node operator") == 5
    assert [one["class"] for one in boxes].count("node output") == 2
    assert sum(attrs.get("class") == "edge" for _, attrs in shown.tags) == 8


def test_inputs_made_in_the_same_way_are_one_box() -> None:
    report = report_of()
    report["features"] = [
        {
            "name": f"C{i}",
            "dtype": "int64",
            "cardinality": 9,
            "sources": [f"C{i}"],
            "operators": ["categorify"],
        }
        for i in range(1, 27)
    ]
    shown = section_page("features", report)
    assert "26 columns: C1, C2, …, C26" in shown.text
    assert "26 columns: C1, C2, …, C26: ids" in shown.text
    assert sum(tag == "rect" for tag, _ in shown.tags) == 3
    assert len(shown.rows("How each input is made")) == 26


def test_training_shows_losses_rates_and_the_epoch_kept() -> None:
    shown = section_page("training")
    assert shown.rows("Mean training loss") == [
        ["6", "0.7123", "0.001"],
        ["12", "0.5123", "0.0005"],
    ]
    assert shown.rows("Loss by epoch") == [["1", "0.6543", "0.4000"], ["2", "0.5432", "0.4876"]]
    assert shown.rows("After each epoch")[0] == ["1 (kept)", "0.6543", "0.4000", "0.7000", "1.0500"]
    assert "after epoch 2 of 5" in shown.text and "54,321 samples a second" in shown.text


def test_one_epoch_has_no_curve_of_epochs() -> None:
    report = report_of()
    report["train"] |= {"epochs": 1, "epochs_run": 1, "train_losses": [0.6]}
    report["train"]["valid"] = report["train"]["valid"][:1]
    shown = section_page("training", report)
    assert not any(caption == "Loss by epoch" for caption in shown.tables)
    assert "One epoch was planned and run." in shown.text


def test_quality_shows_curves_importance_and_slices() -> None:
    shown = section_page("quality")
    assert ["model", "0.250", "0.610"] in shown.rows("ROC curve")
    assert ["logistic regression", "1.000", "0.300"] in shown.rows("Precision and recall")
    assert shown.rows("Groups of equal")[1] == ["model", "40", "24", "55.0 %", "60.0 %"]
    assert shown.rows("Rows by score") == [
        ["10.0 % to 20.0 %", "6", "54"],
        ["20.0 % to 40.0 %", "24", "16"],
    ]
    assert shown.rows("Importance") == [
        [HOSTILE, "0.0789", "0.0123"],
        ["shop", "-0.0001", "0.0000"],
    ]
    assert shown.rows("Slices by shop") == [
        [HOSTILE, "61", "31.0 %", "32.0 %", "0.6789", "0.3456"],
        ["(missing)", "3", "0 %", "10.0 %", "–", "0.1000"],
    ]


def test_serving_shows_both_protocols() -> None:
    shown = section_page("serving")
    rows = shown.rows("Latency and throughput")
    assert len(rows) == 12
    assert rows[3] == ["fused, grpc", "1", "0.50", "1.50", "2,000"]
    assert rows[-1] == ["fused, http", "1,024", "0.75", "2.25", "1,365,333"]
    assert shown.rows("Throughput of one client")[3] == ["fused, grpc", "1", "2,000"]
    assert shown.rows("Latency of ctr_fused, http")[0] == ["1 rows", "0.38 to 0.75", "7"]


def test_costs_show_every_stage() -> None:
    assert section_page("costs").rows("Stages") == [
        ["etl", "4.5", "3,300", "733", "321"],
        ["train", "9.2", "3,000", "324", "–"],
    ]


def test_settings_seed_hashes_versions_and_date_are_shown() -> None:
    shown = section_page("provenance")
    assert ["training.epochs", "5"] in shown.rows("Settings")
    assert shown.rows("Hashes") == [
        ["plan", "abc123"],
        ["stage etl", "e7" * 32],
        ["stage train", "a1" * 32],
    ]
    assert shown.rows("Versions") == [["numpy", "1.26.4"]]
    assert "Seed 7." in shown.text and "2026-01-01" in shown.text
