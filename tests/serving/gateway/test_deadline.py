"""A block ends when its time is over; other cancellations stay what they are."""

from __future__ import annotations

import asyncio

import pytest

from plumbline.serving.gateway.deadline import Deadline


def test_a_block_that_takes_too_long_is_ended() -> None:
    async def test() -> None:
        with pytest.raises(TimeoutError), Deadline(0.01):
            await asyncio.sleep(10.0)
        await asyncio.sleep(0.02)  # the task goes on

    asyncio.run(test())


def test_a_block_in_time_is_left_alone() -> None:
    async def test() -> int:
        with Deadline(0.01):
            await asyncio.sleep(0.0)
        await asyncio.sleep(0.03)
        return 7

    assert asyncio.run(test()) == 7


def test_errors_and_cancellations_from_elsewhere_pass() -> None:
    async def test() -> None:
        with pytest.raises(ValueError, match="own"), Deadline(10.0):
            raise ValueError("own")
        with Deadline(10.0):
            await asyncio.sleep(10.0)

    async def cancelled() -> None:
        task = asyncio.create_task(test())
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
