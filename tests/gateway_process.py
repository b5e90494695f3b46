"""A gateway process in front of a server, and requests to it; the test plays the launcher."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from plumbline.base.paths import SOURCES
from plumbline.serving.gateway.settings import GatewaySettings, LauncherState

_BEAT_SECONDS = 0.2


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        return str(self.json["error"])


class GatewayProcess:
    """`settings` are completed by the socket that is bound here, on a free port."""

    def __init__(self, settings: GatewaySettings, log: Path) -> None:
        self._settings, self._log = settings, log
        self.state = LauncherState(ready=True, restarts={"died": 2}, server_up_since=1.5e9)
        self.tls: ssl.SSLContext | None = None
        """How requests are encrypted."""
        self._end = threading.Event()

    def __enter__(self) -> GatewayProcess:
        with (
            socket.create_server(("127.0.0.1", 0), backlog=1024) as listener,
            self._log.open("wb") as log,
        ):
            self.port = listener.getsockname()[1]
            self.process = subprocess.Popen(
                [sys.executable, "-m", "plumbline.serving.gateway"],
                stdin=subprocess.PIPE,
                stderr=log,
                pass_fds=[listener.fileno()],
                cwd=SOURCES,
            )
            self._say(replace(self._settings, listen_fd=listener.fileno()).to_line())
        self._beats = threading.Thread(target=self._beat, daemon=True)
        self._beats.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end.set()
        self._beats.join()
        assert self.process.stdin is not None
        self.process.stdin.close()
        assert self.process.wait(15) == 0

    def tell(self, state: LauncherState) -> None:
        self.state = state
        self._say(state.to_line())

    def send(
        self,
        body: bytes | str,
        content_type: str = "application/json",
        path: str = "/v1/score",
        **headers: str,
    ) -> Answer:
        return self.request("POST", path, body, {"Content-Type": content_type, **headers})

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        return self.request("GET", path, None, headers or {})

    def request(
        self, method: str, path: str, body: bytes | str | None, headers: Mapping[str, str]
    ) -> Answer:
        connection = (
            http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
            if self.tls is None
            else http.client.HTTPSConnection("127.0.0.1", self.port, timeout=30, context=self.tls)
        )
        try:
            connection.request(method, path, body, dict(headers))
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.headers), answer.read())
        finally:
            connection.close()

    def raw(self, content: bytes, seconds: float = 15.0) -> bytes:
        """Send these bytes as they are, and return what comes until the connection ends."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=seconds) as connection:
            received = b""
            with suppress(ConnectionResetError, BrokenPipeError):  # it does not read to the end
                connection.sendall(content)
                while chunk := connection.recv(65536):
                    received += chunk
            return received

    def _beat(self) -> None:
        while not self._end.is_set():
            self._say(self.state.to_line())
            self._end.wait(_BEAT_SECONDS)

    def _say(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line.encode())
        self.process.stdin.flush()
