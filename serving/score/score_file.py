"""Score the rows of a file: read ahead, several requests under way, scores in the rows' order.

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

from features.errors import DataError, PlanError
from serving.remote.async_client import AsyncClient
from serving.score.score_output import ScoreOutput


@dataclass(slots=True)
class Scored:
    """What was scored so far."""

    rows: int = 0
    total_probability: float = 0.0

    @property
    def mean_probability(self) -> float:
        """NaN of no rows."""
        return self.total_probability / self.rows if self.rows else float("nan")


async def score_rows(
    client: AsyncClient,
    pieces: Iterable[pa.Table],
    output: ScoreOutput,
    in_flight: int,
    progress: Callable[[Scored], None],
) -> Scored:
    """Score every piece in one or more requests, and write the scores as their turn comes.

    At most `in_flight` pieces are in memory. `progress` is called after each that is written.

    Raises
    ------
    DataError
        Values of a piece that do not fit, and which rows they are in.
    PlumblineError
        As the pieces' source and `AsyncClient.score` raise; what was written is not whole then.
    """
    scored = Scored()
    waiting: deque[asyncio.Task[NDArray[np.float32]]] = deque()
    source = iter(pieces)
    start = 0

    async def write_first() -> None:
        probability_B = await waiting[0]
        waiting.popleft()
        output.write(probability_B)
        scored.rows += len(probability_B)
        scored.total_probability += float(probability_B.sum(dtype=np.float64))
        progress(scored)

    try:
        while (piece := await asyncio.to_thread(next, source, None)) is not None:
            waiting.append(asyncio.ensure_future(_scores(client, piece, start)))
            start += len(piece)
            if len(waiting) >= in_flight:
                await write_first()
        while waiting:
            await write_first()
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)
    return scored


async def _scores(client: AsyncClient, piece: pa.Table, start: int) -> NDArray[np.float32]:
    try:
        tensors = await asyncio.to_thread(client.tensors, piece)
    except PlanError as error:
        raise DataError(f"Rows {start + 1} to {start + len(piece)}: {error}") from None
    return await client.predict(tensors)
