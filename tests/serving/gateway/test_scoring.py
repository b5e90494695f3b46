"""A server whose model's config is damaged does not end the gateway's search for newer versions."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from plumbline.serving.errors import RepositoryError
from plumbline.serving.gateway import scoring as scoring_module
from plumbline.serving.gateway.scoring import Scoring
from plumbline.serving.gateway.settings import GatewaySettings


@pytest.mark.parametrize("parameters", [{}, {"versions": "{}"}, {"versions": "["}])
def test_a_config_without_versions(
    parameters: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring_module, "REFRESH_SECONDS", 0.0)
    asked = 0

    async def config(name: str) -> Any:
        nonlocal asked
        asked += 1
        return SimpleNamespace(model=name, parameters=parameters)

    async def refresh() -> None:
        scoring = Scoring(GatewaySettings(0, "127.0.0.1:9", "127.0.0.1:9", "ctr"))
        monkeypatch.setattr(scoring._transport, "config", config)
        with pytest.raises(RepositoryError, match="'ctr'"):
            await scoring.refresh()
        task = asyncio.create_task(scoring.keep_fresh())
        await asyncio.sleep(0.05)
        assert not task.done() and asked > 2
        task.cancel()
        await scoring.close()

    asyncio.run(refresh())
