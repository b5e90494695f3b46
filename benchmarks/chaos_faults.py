"""What is done to a server while it answers, one fault after another."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.chaos_releases import Releases
from benchmarks.hostile import hostile_request, send_and_leave
from benchmarks.running_server import GATEWAY, GUARD, STUB, TRITON, RunningServer
from benchmarks.serve_requests import Connection, Request
from plumbline.base.errors import PlumblineError
from plumbline.serving.client.connection import SECRET_HEADER
from plumbline.serving.client.connection import Connection as Address
from plumbline.serving.contract.interface import FUSED_MODEL
from plumbline.serving.publish.live_server import LiveServer
from plumbline.serving.publish.publish import publish
from plumbline.serving.repository.release import Release

LEFT_BEHIND_SECONDS = 10.0
_HOSTILE = 50
_OVERLOAD_THREADS, _OVERLOAD_SECONDS = 100, 3.0
_LOAD_SECONDS = 120.0


@dataclass(slots=True)
class Attack:
    """What the faults need, and what they found besides the traffic."""

    server: RunningServer
    releases: Releases
    repository: Path
    secret: str
    draw: random.Random
    published: int = 1
    left_behind: int = 0
    """Processes and files that were still there some seconds after the launcher was killed."""

    def kill_a_model_process(self) -> None:
        self._signal(STUB, signal.SIGKILL)

    def kill_triton(self) -> None:
        self._signal(TRITON, signal.SIGKILL)

    def kill_the_guard(self) -> None:
        self._signal(GUARD, signal.SIGKILL)

    def kill_the_gateway(self) -> None:
        self._signal(GATEWAY, signal.SIGKILL)

    def stop_a_model_process(self) -> None:
        """It stays stopped until somebody notices."""
        self._signal(STUB, signal.SIGSTOP)

    def stop_triton(self) -> None:
        self._signal(TRITON, signal.SIGSTOP)

    def stall_a_model_process(self) -> None:
        """For .3 s, as a busy machine may."""
        stalled = self._signal(STUB, signal.SIGSTOP)
        time.sleep(0.3)
        with suppress(ProcessLookupError):
            os.kill(stalled, signal.SIGCONT)

    def kill_triton_while_it_restarts(self) -> None:
        killed = self._signal(TRITON, signal.SIGKILL)
        end = time.monotonic() + 20.0
        while time.monotonic() < end:
            restarted = [pid for pid in self.server.processes()[TRITON] if pid != killed]
            if restarted:
                os.kill(restarted[0], signal.SIGKILL)
                return
            time.sleep(0.01)

    def kill_the_launcher(self) -> None:
        """And start it again, as a service manager does."""
        had = self.server.kill_launcher()
        end = time.monotonic() + LEFT_BEHIND_SECONDS
        while time.monotonic() < end and any(map(psutil.pid_exists, had)):
            time.sleep(0.05)
        self.left_behind += sum(map(psutil.pid_exists, had))
        self.server.start()

    def publish_a_version(self) -> None:
        self._publish(self.releases.good[self.published % 2])
        self.published += 1

    def publish_a_bad_version(self) -> None:
        try:
            self._publish(self.releases.bad[self.published % 2])
        except PlumblineError:
            return
        raise RuntimeError("a bad version was published")

    def overload(self) -> None:
        """Many large requests at once to Triton's own port."""
        rows = self.releases.rows[-1]
        request = Request.of(FUSED_MODEL, rows.tensors, rows.scores[0])
        end = time.monotonic() + _OVERLOAD_SECONDS

        def send(_: int) -> None:
            connection = Connection(self.server.http_url)
            while time.monotonic() < end:
                connection.send(request)
            connection.close()

        with ThreadPoolExecutor(_OVERLOAD_THREADS) as pool:
            list(pool.map(send, range(_OVERLOAD_THREADS)))

    def send_hostile_requests(self) -> None:
        row = self.releases.rows[0].as_mappings[0]
        address = ("127.0.0.1", self.server.gateway_port)
        for _ in range(_HOSTILE):
            send_and_leave(address, hostile_request(row, self.draw, self.server.headers), 1.0)

    def _signal(self, kind: str, number: signal.Signals) -> int:
        """Send a signal to one process of the kind, and return its id."""
        end = time.monotonic() + 30.0
        while not (found := self.server.processes()[kind]):
            if time.monotonic() > end:
                raise RuntimeError(f"there is no {kind}")
            time.sleep(0.05)
        chosen = self.draw.choice(found)
        os.kill(chosen, number)
        return chosen

    def _publish(self, release: Release) -> None:
        address = Address(
            self.server.http_url, "http", _LOAD_SECONDS, headers={SECRET_HEADER: self.secret}
        )
        live = LiveServer(address)
        try:
            publish(release, self.repository, self.releases.settings, live, lambda _: None)
        finally:
            live.close()


FAULTS: dict[str, Callable[[Attack], None]] = {
    "kill -9 of a model process": Attack.kill_a_model_process,
    "kill -9 of Triton": Attack.kill_triton,
    "kill -9 of the guard": Attack.kill_the_guard,
    "kill -9 of the gateway": Attack.kill_the_gateway,
    "kill -9 of Triton while it restarts": Attack.kill_triton_while_it_restarts,
    "kill -9 of the launcher, started again": Attack.kill_the_launcher,
    "a model process stopped": Attack.stop_a_model_process,
    "Triton stopped": Attack.stop_triton,
    "a model process stalled for .3 s": Attack.stall_a_model_process,
    "a version published": Attack.publish_a_version,
    "a bad version published": Attack.publish_a_bad_version,
    "overload": Attack.overload,
    "hostile requests": Attack.send_hostile_requests,
}
