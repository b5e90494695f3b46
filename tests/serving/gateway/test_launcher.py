"""What a gateway knows of its launcher: its state while it speaks, and nothing after that."""

from __future__ import annotations

import asyncio
import os
import time

import pytest

from plumbline.serving.gateway.launcher import PATIENCE_SECONDS, Launcher
from plumbline.serving.gateway.settings import (
    GatewaySettings,
    LauncherState,
    Limits,
    TlsFiles,
)


def test_a_silent_launcher_is_neither_alive_nor_ready() -> None:
    now = [100.0]
    launcher = Launcher(lambda: now[0])
    assert (launcher.is_alive, launcher.is_ready) == (True, False)
    launcher.say(LauncherState(ready=True, restarts={"died": 1}).to_line().encode())
    assert (launcher.is_alive, launcher.is_ready) == (True, True)
    assert launcher.state.restarts == {"died": 1}
    now[0] += 4.9
    assert launcher.is_ready
    now[0] += 0.2
    assert (launcher.is_alive, launcher.is_ready) == (False, False)


def test_a_request_waits_a_little_for_a_server_that_starts() -> None:
    launcher = Launcher()
    ready, busy = LauncherState(ready=True).to_line().encode(), LauncherState().to_line().encode()

    async def wait() -> tuple[bool, bool]:
        started = time.monotonic()
        is_ready = await launcher.becomes_ready()
        return is_ready, time.monotonic() - started > 0.9 * PATIENCE_SECONDS

    async def waits() -> None:
        assert await wait() == (False, True)
        waiting = asyncio.create_task(launcher.becomes_ready())
        await asyncio.sleep(0.0)
        launcher.say(ready)
        assert await waiting
        assert await wait() == (True, False)
        launcher.say(busy)
        assert await wait() == (False, True)

    asyncio.run(waits())


def test_the_end_of_the_input_is_told() -> None:
    readable, writable = os.pipe()
    ended = []

    async def listen() -> None:
        with os.fdopen(readable, "rb", buffering=0) as source:
            launcher = Launcher()
            listening = asyncio.create_task(launcher.listen(source, lambda: ended.append(True)))
            os.write(writable, LauncherState(ready=True).to_line().encode())
            while not launcher.is_ready:
                await asyncio.sleep(0.001)
            assert not ended
            os.close(writable)
            await asyncio.wait_for(listening, 5.0)

    asyncio.run(listen())
    assert ended == [True]


@pytest.mark.parametrize("tls", [None, TlsFiles("a.pem", "a.key", None)])
def test_settings_come_back_from_their_line(tls: TlsFiles | None) -> None:
    settings = GatewaySettings(
        3, "127.0.0.1:1", "127.0.0.1:2", "ctr", "secret", None, tls, Limits(1, 2, 3, 4.5)
    )
    assert GatewaySettings.from_line(settings.to_line()) == settings
    assert "secret" not in repr(settings)
