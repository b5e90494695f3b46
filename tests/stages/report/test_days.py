"""Appended days are a section of their own, after the verdict."""

from __future__ import annotations

from plumbline.stages.report.page import report_page
from tests.stages.report.sample import HOSTILE, Page, report_of


def day(name: str, auc: float) -> dict[str, object]:
    figures = {"auc": auc, "logloss": 0.51, "normalized_entropy": 0.95, "calibration": 1.0312}
    return {"files": [name], "rows": 1234, **figures}


def test_each_day_has_its_scores_before_training() -> None:
    report = report_of()
    report["append"] = {
        "parent": "../first",
        "statistics": "merged",
        "new_ids": {"user": 17},
        "left_out_by_limit": {"item": 3},
        "replayed": 2000,
        "days": [day("day1.csv", 0.7011), day(HOSTILE, 0.7022)],
    }
    source = report_page(report)
    for shown in ("0.7011", "0.7022", "1.0312", "user 17", "item: 3 values stay", "2,000"):
        assert shown in source
    assert "<script" not in source
    targets = [attrs.get("href") for tag, attrs in Page(source).tags if tag == "a"]
    assert targets.index("#days") == targets.index("#verdict") + 1


def test_a_run_without_days_has_no_such_section() -> None:
    assert "Appended days" not in report_page(report_of())
