"""The summary of a load test, without a server."""

import math

import numpy as np
import pytest

from benchmarks.serve_load import Arrivals, Load, summary
from benchmarks.serve_noop import renamed
from benchmarks.serve_requests import Outcome, differing, error_kind
from benchmarks.serve_saturation import REFUSAL, Saturation
from benchmarks.soak_memory import Memory, MemoryWatch


def load(rows_a_second: float, **errors: int) -> Load:
    return Load("x", 10, 1, None, rows_a_second, 1.0, 2.0, 3.0, errors, 0)


def test_a_load_counts_the_answers_in_its_window() -> None:
    outcomes = [
        Outcome(rows=10, started=0.0, ended=0.9),
        Outcome(rows=10, started=0.5, ended=1.5, wrong_scores=2),
        Outcome(rows=10, started=1.0, ended=2.5),
        Outcome(rows=10, started=2.0, ended=2.6, error="no"),
        Outcome(rows=10, started=2.0, ended=3.0),
    ]
    found = summary("x", outcomes, begin=1.0, seconds=2.0, in_flight=3)
    assert found.rows_a_second == 10.0
    assert (found.p50, found.errors) == (1250.0, {"no": 1})
    assert found.error_p99 == pytest.approx(600.0)
    assert found.wrong_scores == 2


def test_a_load_without_answers_has_no_latency() -> None:
    found = summary("x", [Outcome(10, 0.0, 0.5, "no")], begin=0.0, seconds=1.0)
    assert math.isnan(found.p50) and found.rows_a_second == 0.0
    assert found.to_json()["p50"] is None


def test_arrivals_keep_their_rate() -> None:
    times = [at for _, at in Arrivals(begin=5.0, rate=100.0, end=15.0)]
    assert times == sorted(times) and times[0] > 5.0 and times[-1] < 15.0
    assert len(times) == pytest.approx(1000, rel=0.15)


def test_saturation_is_past_the_peak_and_separates_refusals_from_failures() -> None:
    found = Saturation(
        closed=[load(10.0), load(100.0), load(95.0)],
        open=[load(90.0, **{f"{REFUSAL}: so many": 3}), load(80.0, reset=1)],
    )
    assert found.peak.rows_a_second == 100.0
    assert (found.kept_share, found.share_in_overload) == (0.95, 0.8)
    assert (found.refusals, found.failures) == (3, 1)


def test_scores_are_compared_exactly() -> None:
    expected_B = np.array([0.1, 0.2], np.float32)
    assert differing(expected_B.copy(), expected_B) == 0
    assert differing(np.nextafter(expected_B, 1, dtype=np.float32), expected_B) == 2
    assert differing(expected_B[:1], expected_B) == 2


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b'{"error":"[request id: 7] The server is busy. Send it later."}', "The server is busy"),
        (b'{"error":"no such model"}', "no such model"),
        (b"\xff", "no readable error"),
        (b"[]", "no readable error"),
    ],
)
def test_errors_are_grouped_by_their_first_sentence(content: bytes, kind: str) -> None:
    assert error_kind(content) == kind


def test_a_noop_has_its_own_name_and_its_own_steps() -> None:
    config = 'name: "ctr"\ninput [\n    name: "dense"\n]\nsteps {\n  model_name: "ctr_dlrm"\n}\n'
    assert renamed(config) == (
        'name: "noop_ensemble"\ninput [\n    name: "dense"\n]\n'
        'steps {\n  model_name: "noop_dlrm"\n}\n'
    )


def test_growth_is_between_medians_after_the_start() -> None:
    watch = MemoryWatch(seconds_between=10.0)
    watch.samples = [
        Memory(seconds=at, own=own, mapped=0.0, processes=1)
        for at, own in [
            (0, 1.0),
            (120, 100.0),
            (150, 300.0),
            (179, 100.0),
            (545, 102.0),
            (600, 102.0),
        ]
    ]
    assert watch.growth(settled=120.0, seconds=600.0) == pytest.approx(0.02)
