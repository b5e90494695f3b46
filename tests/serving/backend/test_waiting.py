"""The queue of a model: when it takes over, in what order it answers, what it rejects."""

import threading
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plumbline.serving.backend.waiting import BusyShare, Limits, Waiting, WaitingLine

LIMITS = Limits(requests=3, seconds=1.0, rows=10)


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Model:
    """A model that answers when it may; each pass takes some of the clock's seconds."""

    def __init__(self, clock: Clock, pass_seconds: float = 0.0) -> None:
        self.clock, self.pass_seconds = clock, pass_seconds
        self.may_answer = threading.Event()
        self.has_begun = threading.Event()
        self.passes: list[list[str]] = []
        self.rejected: dict[str, str] = {}

    def answer(self, requests: list[str]) -> None:
        self.has_begun.set()
        assert self.may_answer.wait(10)
        self.clock.now += self.pass_seconds
        self.passes.append(requests)

    def reject(self, request: str, reason: str) -> None:
        self.rejected[request] = reason


def line_of(model: Model, limits: Limits = LIMITS) -> WaitingLine[str]:
    return WaitingLine(limits, model.answer, model.reject, model.clock)


def busy(share: BusyShare, part: float, seconds: float, begin: float = 0.0) -> float:
    """Work that takes a part of each 10 ms; the time at its end."""
    for number in range(round(seconds / 0.01)):
        started = begin + number * 0.01
        share.note(started, started + part * 0.01)
    return begin + seconds


@pytest.mark.parametrize(("part", "is_high"), [(0.5, False), (0.8, False), (0.95, True)])
def test_a_model_is_behind_when_it_is_busy_nearly_all_the_time(part: float, is_high: bool) -> None:
    share = BusyShare()
    end = busy(share, part, 0.5)
    assert share.is_high(end) == is_high
    assert not share.is_high(end + 5.0), "after a pause it is not"


def test_the_time_of_a_call_counts_for_short_passes() -> None:
    with_calls, without = BusyShare(call_seconds=0.0001), BusyShare()
    for number in range(2000):
        started = number * 0.00015
        for share in (with_calls, without):
            share.note(started, started + 0.00005)
    assert with_calls.is_high(0.3)
    assert not without.is_high(0.3)


def test_nothing_waits_for_a_model_that_keeps_up() -> None:
    clock = Clock()
    line = line_of(Model(clock))
    assert not line.takes_over(clock.now)
    for _ in range(100):
        line.answered(clock.now, clock.now + 0.002)
        clock.now += 0.01
        assert not line.takes_over(clock.now)
    for _ in range(50):
        line.answered(clock.now, clock.now + 0.01)
        clock.now += 0.01
    assert line.takes_over(clock.now)
    line.close()


def test_the_queue_is_answered_in_order_in_passes_of_the_largest_batch() -> None:
    model = Model(Clock())
    line = line_of(model, Limits(requests=9, seconds=1.0, rows=10))
    line.put([Waiting("first", 1)])
    assert model.has_begun.wait(10)
    assert line.takes_over(0.0), "while it works, what comes has to wait behind"
    line.put([Waiting(name, 4) for name in "abc"])
    line.put([Waiting("large", 20), Waiting("d", 1)])
    model.may_answer.set()
    line.close()
    assert model.passes == [["first"], ["a", "b"], ["c"], ["large"], ["d"]]
    assert not model.rejected


def test_a_full_queue_and_a_late_request_are_rejected() -> None:
    clock = Clock()
    model = Model(clock, pass_seconds=0.4)
    line = line_of(model)
    line.put([Waiting("first", 10)])
    assert model.has_begun.wait(10)
    line.put([Waiting("a", 10), Waiting("hurried", 10, seconds=0.3), Waiting("b", 10)])
    line.put([Waiting("fourth", 10)])
    assert model.rejected.keys() == {"fourth"}
    assert "3 requests wait" in model.rejected["fourth"]
    model.may_answer.set()
    line.close()
    assert model.passes == [["first"], ["a"], ["b"]]
    assert "its time-out of 0.3 s" in model.rejected["hurried"]


def test_a_hurried_request_is_rejected_in_time_behind_patient_ones() -> None:
    """A health check must learn from a long queue that the server works."""
    clock = Clock()
    model = Model(clock, pass_seconds=0.4)
    refused_at: dict[str, float] = {}
    reject: Callable[[str, str], None] = lambda name, _: refused_at.update({name: clock.now})  # noqa: E731
    line = WaitingLine(Limits(requests=9, seconds=60.0, rows=1), model.answer, reject, clock)
    line.put([Waiting("first", 1)])
    assert model.has_begun.wait(10)
    line.put([*(Waiting(name, 1) for name in "abcd"), Waiting("hurried", 1, seconds=1.0)])
    model.may_answer.set()
    line.close()
    assert [name for passed in model.passes for name in passed] == ["first", *"abcd"]
    assert refused_at.keys() == {"hurried"} and refused_at["hurried"] <= 101.0


def test_a_request_that_the_next_pass_would_make_late_is_rejected_before_it() -> None:
    """The rejection is then sent within the time-out."""
    clock = Clock()
    model = Model(clock, pass_seconds=0.4)
    refused_at: dict[str, float] = {}
    reject: Callable[[str, str], None] = lambda name, _: refused_at.update({name: clock.now})  # noqa: E731
    line = WaitingLine(Limits(requests=9, seconds=1.0, rows=1), model.answer, reject, clock)
    line.put([Waiting(name, 1) for name in "abcde"])
    model.may_answer.set()
    line.close()
    assert [name for passed in model.passes for name in passed] == ["a", "b", "c"]
    assert refused_at.keys() == {"d", "e"}
    assert max(refused_at.values()) <= 100.0 + 1.0


@given(st.lists(st.tuples(st.integers(1, 30), st.sampled_from([0.0, 0.01, 5.0])), max_size=30))
def test_every_request_is_answered_or_rejected_once(requests: list[tuple[int, float]]) -> None:
    model = Model(Clock(), pass_seconds=0.01)
    model.may_answer.set()
    line = line_of(model, Limits(requests=5, seconds=1.0, rows=10))
    line.put(Waiting(str(n), rows, seconds) for n, (rows, seconds) in enumerate(requests))
    line.close()
    answered = [name for passed in model.passes for name in passed]
    assert sorted([*answered, *model.rejected], key=int) == [str(n) for n in range(len(requests))]
    assert answered == sorted(answered, key=int)
