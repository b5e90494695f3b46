"""Requests prepared in advance and sent over HTTP at little cost to the server's cores.

Legend: B rows.
"""

from __future__ import annotations

import http.client
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import tritonclient.http
from numpy.typing import NDArray
from tritonclient.utils import np_to_triton_dtype

from plumbline.columns.wire import Tensors
from plumbline.serving.contract.interface import CLICK_PROBABILITY
from plumbline.serving.gateway.arrow_rows import MEDIA_TYPE

HEADER_LENGTH = "Inference-Header-Content-Length"
ANSWER_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Request:
    """A request for scores, as bytes, and its expected answer."""

    path: str
    body: bytes
    headers: Mapping[str, str]
    expected_B: NDArray[np.float32]

    @classmethod
    def of(cls, model: str, tensors: Tensors, expected_B: NDArray[np.float32]) -> Request:
        inputs = []
        for name, tensor in tensors.items():
            wanted = tritonclient.http.InferInput(
                name, list(tensor.shape), np_to_triton_dtype(tensor.dtype)
            )
            wanted.set_data_from_numpy(tensor)
            inputs.append(wanted)
        outputs = [tritonclient.http.InferRequestedOutput(CLICK_PROBABILITY, binary_data=True)]
        body, header = tritonclient.http.InferenceServerClient.generate_request_body(
            inputs, outputs=outputs
        )
        headers = {HEADER_LENGTH: str(header), "Content-Type": "application/octet-stream"}
        return cls(f"/v2/models/{model}/infer", bytes(body), headers, expected_B)

    @classmethod
    def of_gateway(cls, table: pa.Table, expected_B: NDArray[np.float32]) -> Request:
        """A request to a gateway for the scores of a table, in Arrow."""
        return cls("/v1/score", arrow_bytes(table), {"Content-Type": MEDIA_TYPE}, expected_B)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of one request."""

    rows: int
    started: float
    """Start by `time.perf_counter`; for scheduled arrivals, the time when it was due."""
    ended: float
    error: str = ""
    """Kind of the error; empty for scores."""
    wrong_scores: int = 0

    @property
    def milliseconds(self) -> float:
        return (self.ended - self.started) * 1000.0


class Connection:
    """A keep-alive HTTP connection, for one thread."""

    def __init__(self, url: str) -> None:
        self._connection = http.client.HTTPConnection(url, timeout=ANSWER_SECONDS)

    def send(self, request: Request, started: float | None = None) -> Outcome:
        """Send and wait for the answer; scores are compared exactly."""
        begun = time.perf_counter() if started is None else started
        rows = len(request.expected_B)
        try:
            self._connection.request("POST", request.path, request.body, dict(request.headers))
            answer = self._connection.getresponse()
            content = answer.read()
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            return Outcome(rows, begun, time.perf_counter(), type(error).__name__)
        ended = time.perf_counter()
        if answer.status != http.client.OK:
            return Outcome(rows, begun, ended, error_kind(content))
        served_B = _scores(answer, content)
        return Outcome(rows, begun, ended, "", differing(served_B, request.expected_B))

    def close(self) -> None:
        self._connection.close()


def _scores(answer: http.client.HTTPResponse, content: bytes) -> NDArray[np.float32]:
    """The scores of an answer of Triton, or of the gateway in Arrow."""
    if answer.headers["Content-Type"] == MEDIA_TYPE:
        return pa.ipc.open_stream(content).read_all()[CLICK_PROBABILITY].to_numpy()
    return np.frombuffer(content[int(answer.headers[HEADER_LENGTH]) :], np.float32)


def arrow_bytes(table: pa.Table) -> bytes:
    """The table as an Arrow IPC stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as stream:
        stream.write_table(table)
    return bytes(sink.getvalue())


def differing(served_B: NDArray[np.float32], expected_B: NDArray[np.float32]) -> int:
    if served_B.shape != expected_B.shape:
        return len(expected_B)
    return int(np.count_nonzero(served_B != expected_B))


def error_kind(content: bytes) -> str:
    """The first sentence of the server's error, without the request id.

    >>> error_kind(b'{"error":"[request id: 7] The server is busy. Send it later."}')
    'The server is busy'
    """
    try:
        message = str(json.loads(content)["error"])
    except (ValueError, KeyError, TypeError):
        return "no readable error"
    return re.sub(r"^\[request id: [^]]*\] ", "", message).split(". ")[0]
