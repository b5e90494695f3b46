"""Delays and number of retries, and the error after the last one."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plumbline.serving.client.retries import NEVER, Retries
from plumbline.serving.errors import ServerError, ServerUnavailable

FULL = ServerUnavailable("Triton at here: Exceeds maximum queue size")


def waits(retries: Retries, draw: float = 0.0, each_attempt: float = 0.0) -> list[float]:
    """All delays until the last attempt. Only attempts and delays take time."""
    passed, found = 0.0, []
    while True:
        passed += each_attempt
        try:
            found.append(retries.delay(FULL, len(found) + 1, passed, lambda: draw))
        except ServerUnavailable:
            return found
        passed += found[-1]


def test_delays_grow_up_to_the_limit() -> None:
    retries = Retries(6, first_delay_seconds=1.0, factor=2.0, longest_delay_seconds=5.0)
    assert waits(retries) == [1.0, 2.0, 4.0, 5.0, 5.0]
    assert waits(retries, draw=1.0) == [0.5, 1.0, 2.0, 2.5, 2.5]


def test_no_attempt_begins_after_the_total_time() -> None:
    retries = Retries(99, first_delay_seconds=1.0, factor=1.0, total_seconds=10.0)
    assert len(waits(retries, each_attempt=2.0)) == 3


def test_the_last_error_has_the_number_of_attempts() -> None:
    retries = Retries(attempts=2)
    retries.delay(FULL, 1, 0.0)
    with pytest.raises(ServerUnavailable, match=r"maximum queue size \(2 attempts in 0\.0 s\)"):
        retries.delay(FULL, 2, 0.0)


def test_a_single_attempt_raises_its_own_error() -> None:
    with pytest.raises(ServerUnavailable) as raised:
        NEVER.delay(FULL, 1, 0.0)
    assert raised.value is FULL


@given(
    attempts=st.integers(1, 8),
    first=st.floats(0.0, 10.0),
    factor=st.floats(1.0, 10.0),
    jitter=st.floats(0.0, 1.0),
    draw=st.floats(0.0, 1.0, exclude_max=True),
    total=st.floats(0.0, 60.0),
)
def test_no_policy_waits_too_often_or_too_long(
    attempts: int, first: float, factor: float, jitter: float, draw: float, total: float
) -> None:
    retries = Retries(attempts, first, factor, 5.0, jitter, total)
    found = waits(retries, draw)
    assert len(found) < attempts
    assert sum(found) <= total + 1e-6
    assert all(0.0 <= wait <= 5.0 for wait in found)
    assert all(early <= late for early, late in itertools.pairwise(found))


@pytest.mark.parametrize(
    ("field", "value"),
    [("attempts", 0), ("factor", 0.5), ("jitter", 1.5), ("first_delay_seconds", float("nan"))],
)
def test_invalid_values_are_refused(field: str, value: float) -> None:
    with pytest.raises(ServerError, match=f"Retries: {field} wanted .*, got {value}"):
        Retries(**{field: value})
