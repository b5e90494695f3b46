"""Clients of a served model: `Client` for blocking code, `AsyncClient` for asyncio.

Both are imported when they are first used.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plumbline.serving.client.async_client import AsyncClient as AsyncClient
    from plumbline.serving.client.client import Client as Client

__all__ = ["AsyncClient", "Client"]


def __getattr__(name: str) -> Any:
    if name == "Client":
        from plumbline.serving.client.client import Client

        return Client
    if name == "AsyncClient":
        from plumbline.serving.client.async_client import AsyncClient

        return AsyncClient
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
