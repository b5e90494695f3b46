"""What the attacks on a server send, and how their outcomes are judged."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from benchmarks.chaos import outcome_of
from benchmarks.chaos_traffic import Judged, Verdict
from benchmarks.hostile import hostile_request

ROW = {"I1": 1.5, "C1": 7}


def judged(ended: float, verdict: Verdict) -> Judged:
    return Judged("gateway", ended - 0.01, ended, verdict)


@pytest.mark.parametrize(
    ("verdicts", "seconds"),
    [
        (["right", "right"], 0.0),
        (["failed", "refused", "right"], 2.0),
        (["right", "wrong", "right", "right"], 2.0),
    ],
)
def test_a_fault_lasts_until_the_last_answer_that_was_not_right(
    verdicts: list[Verdict], seconds: float
) -> None:
    answers = [judged(10.0 + second, verdict) for second, verdict in enumerate(verdicts, start=1)]
    outcome = outcome_of("fault", 10.0, answers)
    assert outcome.seconds == seconds
    assert outcome.answers == Counter(verdicts)


def test_hostile_requests_are_drawn_from_the_seed_and_carry_the_secret() -> None:
    headers = {"Authorization": "Bearer secret"}
    first, again = (
        [hostile_request(ROW, draw, headers) for _ in range(60)]
        for draw in (random.Random(3), random.Random(3))
    )
    assert first == again
    assert len(set(first)) > 30
    scored = [
        content
        for content in first
        if content.startswith(b"POST /v1/score HTTP/1.1\r\nHost: a\r\n")
    ]
    assert scored
    assert all(b"Authorization: Bearer secret\r\n" in content for content in scored)
