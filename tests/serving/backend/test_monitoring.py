"""The counts equal those by hand, and nothing is lost or reported twice."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plumbline.columns.values import Lists
from plumbline.features.encoding.encoder import Encoded
from plumbline.features.operators.fill_missing import FillMissing
from plumbline.features.operators.hash_bucket import HashBucket
from plumbline.features.plan.plan import Plan
from plumbline.serving.backend import monitoring
from plumbline.serving.backend.monitoring import Counter, Counts, Monitor
from tests.plans import categorify, plan_of


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """`city` has three ids for unseen values, 2 to 4; `shop` one; `hashed` has no vocabulary."""
    return plan_of(
        tmp_path,
        {"price": "continuous", "city": "string", "hashed": "string", "tags": "string_list"},
        price=("price", FillMissing(0.0)),
        city=("city", categorify(tmp_path, "city", ["Oslo", "Rome"], num_buckets=3)),
        hashed=("hashed", HashBucket(10)),
        tags=("tags", categorify(tmp_path, "tags", ["new", "old"])),
    )


def seen() -> tuple[Any, Encoded, Any]:
    """Four rows."""
    ids_BF = np.array([[1, 1], [2, 2], [4, 3], [5, 4]])
    tags = Lists(np.array([1, 2, 3, 4, 2]), np.array([0, 2, 2, 5, 5]))
    continuous_BC = np.array([[1.0], [np.nan], [np.inf], [0.0]], np.float32)
    dense_BC = np.zeros((4, 1), np.float32)
    probability_B1 = np.array([[0.5], [0.25], [0.125], [0.0]], np.float32)
    return continuous_BC, Encoded(ids_BF, (tags,), dense_BC), probability_B1


def test_values_are_counted_as_by_hand(plan: Plan) -> None:
    counts = Counter(plan).count(*seen())
    assert counts == Counts(
        rows=4, categorical=4 + 5, unseen=2 + 2, null=1 + 1 + 1, continuous=4, score_sum=0.875,
        scores=4,
    )  # fmt: skip
    assert counts.gauges() == {
        "plumbline_unseen_value_rate": 4 / 9,
        "plumbline_null_value_rate": 3 / 13,
        "plumbline_mean_score": 0.875 / 4,
    }


def test_a_score_that_is_nan_is_not_added_to_the_sums() -> None:
    probability_B1 = np.array([[0.5], [np.nan], [np.inf], [0.25]], np.float32)
    counts = Counter(None).count(None, None, probability_B1)
    assert counts == Counts(rows=4, score_sum=0.75, scores=2)
    assert (counts + counts).gauges() == {"plumbline_mean_score": 0.375}


def test_a_model_without_a_plan_counts_scores() -> None:
    counts = Counter(None).count(None, None, seen()[2])
    assert counts == Counts(rows=4, score_sum=0.875, scores=4)
    assert counts.gauges() == {"plumbline_mean_score": 0.875 / 4}


class Reports:
    """Adds up what a monitor reports."""

    def __init__(self) -> None:
        self.total: dict[str, float] = {}
        self.gauges: dict[str, float] = {}

    def __call__(self, grown: dict[str, float], gauges: dict[str, float]) -> None:
        self.total = {name: self.total.get(name, 0.0) + value for name, value in grown.items()}
        self.gauges = gauges


@pytest.mark.parametrize("requests", [0, 1, 3000])
def test_every_request_is_reported_once(
    plan: Plan, monkeypatch: pytest.MonkeyPatch, requests: int
) -> None:
    monkeypatch.setattr(monitoring, "SECONDS", 0.001)
    reports = Reports()
    monitor = Monitor(plan, reports)
    monitor.start()
    continuous_BC, encoded, probability_B1 = seen()
    for _ in range(requests):
        monitor.see({"continuous": continuous_BC}, encoded, probability_B1)
    monitor.stop()
    once = Counter(plan).count(continuous_BC, encoded, probability_B1).counters()
    assert reports.total == ({n: requests * v for n, v in once.items()} if requests else {})


def test_gauges_cover_the_last_rows(plan: Plan, monkeypatch: pytest.MonkeyPatch) -> None:
    reports = Reports()
    monitor = Monitor(None, reports)
    for score in (0.0, 0.0, 1.0, 1.0, 1.0):
        scores_B1 = np.full((1000, 1), score, np.float32)
        monitor.see({"ids": scores_B1}, None, scores_B1)
        monitor._send()
    assert reports.gauges == {"plumbline_mean_score": 1.0}
    assert reports.total["plumbline_score_sum"] == 3000.0


def test_the_servers_memory_is_not_kept() -> None:
    monitor = Monitor(None, Reports())
    continuous_BC, encoded, _ = seen()
    monitor.see({"continuous": continuous_BC}, encoded, None)
    (kept, _, _), *_ = monitor._pending
    assert not np.shares_memory(kept, continuous_BC)
