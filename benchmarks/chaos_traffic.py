"""Steady traffic to a server that is attacked meanwhile; every answer is judged."""

from __future__ import annotations

import http.client
import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from benchmarks.chaos_releases import Releases, Rows
from benchmarks.running_server import RunningServer
from benchmarks.serve_requests import arrow_bytes
from plumbline.serving.client.client import Client
from plumbline.serving.contract.interface import CLICK_PROBABILITY, ENSEMBLE_MODEL, FUSED_MODEL
from plumbline.serving.errors import ServerError
from plumbline.serving.gateway.arrow_rows import MEDIA_TYPE

Verdict = Literal["right", "wrong", "refused", "failed"]
"""Refused: the gateway said that it cannot answer now, or a client of Triton raised an error."""

SENDERS = 6
JSON_ROWS = 256
"""At most so many rows go into a request in JSON."""
PAUSE_SECONDS = 0.02
_ANSWER_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Judged:
    """One answer. Times are by `time.monotonic`."""

    by: str
    started: float
    ended: float
    verdict: Verdict
    reason: str = ""


class Traffic:
    """Senders in threads, each to the gateway or to Triton's ports, until the block ends.

    After an answer that was not right a sender waits `retry_seconds`.
    """

    def __init__(self, server: RunningServer, releases: Releases, retry_seconds: float) -> None:
        self._server, self._releases = server, releases
        self._retry_seconds = retry_seconds
        self._end = threading.Event()
        self._judged: list[Judged] = []

    @contextmanager
    def running(self) -> Iterator[None]:
        asks: tuple[Callable[[Rows], Judged], ...] = (self._json, self._json, self._arrow)
        threads = [
            threading.Thread(target=self._send, args=(number, asks[number % len(asks)]))
            for number in range(SENDERS - 2)
        ]
        threads += [
            threading.Thread(target=self._send_directly, args=(number, model))
            for number, model in ((SENDERS - 2, FUSED_MODEL), (SENDERS - 1, ENSEMBLE_MODEL))
        ]
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._end.set()
            for thread in threads:
                thread.join()

    def since(self, moment: float) -> list[Judged]:
        """The answers that ended after the moment."""
        return [judged for judged in list(self._judged) if judged.ended >= moment]

    def _send(self, number: int, ask: Callable[[Rows], Judged]) -> None:
        draw = random.Random(number)
        while not self._end.is_set():
            self._take(ask(draw.choice(self._releases.rows)), draw)

    def _json(self, rows: Rows) -> Judged:
        sent = rows.as_mappings[:JSON_ROWS]
        body = json.dumps({"rows": sent}).encode()
        return self._ask(rows, len(sent), body, "application/json", _of_json)

    def _arrow(self, rows: Rows) -> Judged:
        return self._ask(rows, rows.table.num_rows, arrow_bytes(rows.table), MEDIA_TYPE, _of_arrow)

    def _ask(self, rows: Rows, sent: int, body: bytes, media_type: str, read: Any) -> Judged:
        """The answer to the first rows, so many as were sent."""
        begun = time.monotonic()
        connection = http.client.HTTPConnection(self._server.gateway_url, timeout=_ANSWER_SECONDS)
        try:
            headers = {"Content-Type": media_type, **self._server.headers}
            connection.request("POST", "/v1/score", body, headers)
            answer = connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            return self._done("gateway", begun, "failed", type(error).__name__)
        finally:
            connection.close()
        if answer.status != http.client.OK:
            verdict: Verdict = "refused" if answer.status == 503 else "failed"
            return self._done("gateway", begun, verdict, f"{answer.status} {content[:120]!r}")
        version, scores = read(content)
        is_right = np.array_equal(scores, self._releases.expected(rows, version)[:sent])
        return self._done("gateway", begun, "right" if is_right else "wrong")

    def _send_directly(self, number: int, model: str) -> None:
        draw, client = random.Random(number), None
        while not self._end.is_set():
            rows = draw.choice(self._releases.rows)
            begun = time.monotonic()
            try:
                if client is None:
                    client = Client(
                        self._server.http_url, "http", model, _ANSWER_SECONDS, retries=None
                    )
                scores = client.predict(rows.tensors)
            except ServerError as error:
                if client is not None:
                    client.close()
                client = None
                judged = self._done("direct", begun, "refused", str(error)[:120])
            else:
                is_right = any(np.array_equal(scores, wanted) for wanted in rows.scores)
                judged = self._done("direct", begun, "right" if is_right else "wrong")
            self._take(judged, draw)

    def _take(self, judged: Judged, draw: random.Random) -> None:
        """Keep an answer, and pause before the next request."""
        self._judged.append(judged)
        is_right = judged.verdict == "right"
        time.sleep(draw.uniform(0.0, 2 * PAUSE_SECONDS) if is_right else self._retry_seconds)

    def _done(self, by: str, begun: float, verdict: Verdict, reason: str = "") -> Judged:
        return Judged(by, begun, time.monotonic(), verdict, reason)


def _of_json(content: bytes) -> tuple[str, Any]:
    answer = json.loads(content)
    return answer["version"], np.array(answer[CLICK_PROBABILITY], np.float32)


def _of_arrow(content: bytes) -> tuple[str, Any]:
    table = pa.ipc.open_stream(content).read_all()
    return table.schema.metadata[b"version"].decode(), table[CLICK_PROBABILITY].to_numpy()
