"""The page begins with the verdict, and escapes values from the data."""

from __future__ import annotations

import re
from typing import Any

import pytest

from plumbline.stages import report as pages

METRICS = {"auc": 0.7, "logloss": 0.4, "normalized_entropy": 0.9, "calibration": 1.1}
LATENCY = {"grpc": {"fused": {"1": {"p50": 1.0, "p99": 2.0}}}}
HOSTILE = "<script>alert('x')</script>"


def report_of(**verdict: Any) -> dict[str, Any]:
    rates = {"train": 0.2, "valid": 0.25, "test": 0.3}
    return {
        "config": HOSTILE,
        "rows": {"train": 3000, "valid": 200, "test": 100},
        "ingest": {"malformed": 0, "click_rate": rates},
        "etl": {
            "engine": "native",
            "rows_per_second": 1,
            "peak_rss_mb": 1.0,
            "training_rows_left_out": 1200,
            "columns": [],
        },
        "train": {
            "valid": [METRICS, {**METRICS, "logloss": 0.3456}],
            "model": "fused",
            "samples_per_second": 1,
            "steps": 12,
            "final_loss": 0.4,
        },
        "evaluate": {
            **METRICS,
            "bayes_auc": None,
            "auc_loss": None,
            "baselines": {
                "constant": {**METRICS, "logloss": 0.5123},
                "logistic_regression": {**METRICS, "logloss": 0.4321},
            },
            "verdict": {"ok": True, "text": "Better.", "advice": [], **verdict},
        },
        "append": None,
        "warnings": [f"etl: Column {HOSTILE!r} is constant"],
        "serve": {
            "rows_compared": 5,
            "ids_identical": True,
            "max_abs_score_diff": 0.0,
            "latency_ms_by_protocol": LATENCY,
        },
        "seconds": {"etl": 1.0},
        "versions": {"numpy": "1"},
        "written": "2026-01-01T00:00:00+00:00",
    }


def page_of(settings: dict[str, str] | None = None, **verdict: Any) -> str:
    return pages._render(report_of(**verdict), [(1, 0.7), (2, 0.5)], settings or {})


@pytest.mark.parametrize(("ok", "kind"), [(True, "good"), (False, "bad")])
def test_the_verdict_comes_first(ok: bool, kind: str) -> None:
    page = page_of(ok=ok, text="THE VERDICT", advice=["try this"])
    banner = page.index(f'<div class="banner {kind}">THE VERDICT')
    assert banner < page.index("<li>try this</li>") < page.index("were sent to the server")


def test_baselines_are_shown_beside_the_model() -> None:
    row = re.search(r"<tr><th>Log loss</th>.*</tr>", page_of())
    assert row is not None
    assert re.findall(r"[.\d]{6}", row[0]) == ["0.4000", "0.4321", "0.5123"]


def test_validation_click_rates_axes_and_settings_are_shown() -> None:
    page = page_of({"training.epochs": "3"})
    assert "0.3456" in page and "25.000 %" in page and "training.epochs" in page
    assert "step 12" in page and ">0.7000</text>" in page and "2026-01-01" in page


def test_values_from_data_are_escaped() -> None:
    page = page_of({"label.click": f'["{HOSTILE}"]'}, text=HOSTILE, advice=[HOSTILE])
    assert "<script" not in page and page.count("&lt;script&gt;") >= 5
