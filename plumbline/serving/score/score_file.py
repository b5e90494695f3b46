"""Score the rows of a file in order, with read-ahead and several requests in flight.

Legend: B rows.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from plumbline.base.errors import DataError, PlanError
from plumbline.serving.client.async_client import AsyncClient
from plumbline.serving.score.row_files import Chunk
from plumbline.serving.score.score_output import ScoreOutput


@dataclass(slots=True)
class Scored:
    """Totals of the rows scored so far."""

    rows: int = 0
    total_probability: float = 0.0

    @property
    def mean_probability(self) -> float:
        """NaN if there are no rows."""
        return self.total_probability / self.rows if self.rows else float("nan")


async def score_rows(
    client: AsyncClient,
    chunks: Iterable[Chunk],
    output: ScoreOutput,
    in_flight: int,
    progress: Callable[[Scored], None],
) -> Scored:
    """Score every chunk in one or more requests, and write the scores in the order of rows.

    At most `in_flight` chunks are in memory. `progress` is called after each one written.

    Raises
    ------
    DataError
        Values of a chunk do not fit the model; the message names the rows.
    PlumblineError
        As `chunks` and `AsyncClient.score` raise. The output is then incomplete.
    """
    scored = Scored()
    waiting: deque[tuple[Chunk, asyncio.Task[NDArray[np.float32]]]] = deque()
    source = iter(chunks)
    start = 0

    async def write_first() -> None:
        chunk, task = waiting[0]
        probability_B = await task
        waiting.popleft()
        if len(probability_B) != len(chunk.rows):
            raise DataError(f"Wanted {len(chunk.rows)} scores, got {len(probability_B)}.")
        output.write(chunk.kept, probability_B)
        scored.rows += len(probability_B)
        scored.total_probability += float(probability_B.sum(dtype=np.float64))
        progress(scored)

    try:
        while (chunk := await asyncio.to_thread(next, source, None)) is not None:
            waiting.append((chunk, asyncio.ensure_future(_scores(client, chunk.rows, start))))
            start += len(chunk.rows)
            if len(waiting) >= in_flight:
                await write_first()
        while waiting:
            await write_first()
    finally:
        for _, task in waiting:
            task.cancel()
        await asyncio.gather(*(task for _, task in waiting), return_exceptions=True)
    return scored


async def _scores(client: AsyncClient, rows: pa.Table, start: int) -> NDArray[np.float32]:
    try:
        tensors = await asyncio.to_thread(client.tensors, rows)
    except PlanError as error:
        raise DataError(f"Rows {start + 1} to {start + len(rows)}: {error}") from None
    return await client.predict(tensors)
