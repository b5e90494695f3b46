"""The metrics of the Triton server behind the gateway."""

from __future__ import annotations

import aiohttp

_SECONDS = 2.0


async def triton_metrics(address: str) -> bytes:
    """Triton's metrics as text; nothing while it is down."""
    try:
        async with (
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_SECONDS)) as session,
            session.get(f"http://{address}/metrics") as answer,
        ):
            return await answer.read()
    except (aiohttp.ClientError, TimeoutError, OSError):
        return b""
