"""Sends a request in either protocol and reads the answer: tensors, or an error."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass, field
from typing import Any

import grpc
import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc import service_pb2

from plumbline.columns.wire import Tensors
from tests.fuzz.call import Post

_DTYPES = {"FP32": "<f4", "INT64": "<i8"}


@dataclass(frozen=True, slots=True)
class Answer:
    """The HTTP or gRPC status, and the tensors or the server's error message."""

    status: str
    message: str = ""
    tensors: Tensors = field(default_factory=dict)

    @property
    def is_good(self) -> bool:
        return self.status in ("200", "OK")


class HttpConnection:
    """One connection, kept open between requests if the server does so."""

    def __init__(self, url: str, timeout_seconds: float) -> None:
        self._connection = http.client.HTTPConnection(url, timeout=timeout_seconds)

    def send(self, wanted: Post) -> Answer:
        """Raises OSError or HTTPException without an answer, ValueError if it is not JSON."""
        try:
            self._connection.request("POST", wanted.path, wanted.body, dict(wanted.headers))
            response = self._connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException):
            self._connection.close()
            raise
        if response.status != http.client.OK:
            return Answer(str(response.status), json.loads(body.decode(errors="replace"))["error"])
        head = int(response.getheader("Inference-Header-Content-Length") or len(body))
        return Answer("200", tensors=_of_body(json.loads(body[:head]), body[head:]))

    def close(self) -> None:
        self._connection.close()


class GrpcConnection:
    """One channel; it sends the bytes of a message."""

    def __init__(self, url: str, timeout_seconds: float) -> None:
        self._channel = grpc.insecure_channel(url, [("grpc.max_send_message_length", -1)])
        self._infer = self._channel.unary_unary(
            "/inference.GRPCInferenceService/ModelInfer",
            request_serializer=bytes,
            response_deserializer=service_pb2.ModelInferResponse.FromString,
        )
        self._timeout_seconds = timeout_seconds

    def send(self, message: bytes) -> Answer:
        """The status is DEADLINE_EXCEEDED if there is no answer in time."""
        try:
            response = self._infer(message, timeout=self._timeout_seconds)
        except grpc.RpcError as error:
            return Answer(error.code().name, error.details() or "")
        tensors = zip(response.outputs, response.raw_output_contents, strict=True)
        return Answer(
            "OK", tensors={t.name: _array(t.datatype, list(t.shape), data) for t, data in tensors}
        )

    def close(self) -> None:
        self._channel.close()


def _of_body(head: dict[str, Any], data: bytes) -> Tensors:
    """Tensors are bytes after the JSON, or numbers in it; text in the JSON is skipped."""
    tensors, offset = {}, 0
    for tensor in head["outputs"]:
        name, datatype, shape = tensor["name"], tensor["datatype"], tensor["shape"]
        if "data" in tensor:
            if datatype in _DTYPES:
                tensors[name] = np.array(tensor["data"], _DTYPES[datatype]).reshape(shape)
            continue
        end = offset + tensor["parameters"]["binary_data_size"]
        tensors[name] = _array(datatype, shape, data[offset:end])
        offset = end
    return tensors


def _array(datatype: str, shape: list[int], data: bytes) -> NDArray[Any]:
    if datatype in _DTYPES:
        return np.frombuffer(data, _DTYPES[datatype]).reshape(shape)
    values, offset = [], 0
    while offset < len(data):
        start = offset + 4
        offset = start + int.from_bytes(data[offset:start], "little")
        values.append(data[start:offset])
    array = np.empty(len(values), np.object_)
    array[:] = values
    return array.reshape(shape)
