"""Triton's two protocols behind one interface: a model's config, and one inference."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import tritonclient.grpc
import tritonclient.http
from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from features.errors import ServerError
from features.wire import Tensors

Protocol = Literal["http", "grpc"]


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """What a client needs of a served model's config."""

    model: str
    max_batch_size: int
    parameters: Mapping[str, str]


class Transport(ABC):
    """A connection to a server; `HttpTransport` is for one thread, `GrpcTransport` for any."""

    @abstractmethod
    def config(self, model: str) -> ModelConfig:
        """Raises ServerError where the server is not there or has no such model."""

    @abstractmethod
    def infer(self, model: str, tensors: Tensors) -> Any:
        """One request; the answer has `as_numpy(name)`.

        Raises
        ------
        ServerError
            The server's own message, or why it cannot be reached.
        """

    @abstractmethod
    def close(self) -> None:
        """End the connection."""


class HttpTransport(Transport):
    """HTTP with binary tensors."""

    def __init__(self, url: str, timeout_seconds: float) -> None:
        self._url = url
        self._client = tritonclient.http.InferenceServerClient(
            url, connection_timeout=timeout_seconds, network_timeout=timeout_seconds
        )

    def config(self, model: str) -> ModelConfig:
        with _server_errors(self._url):
            return _model_config(self._client.get_model_config(model))

    def infer(self, model: str, tensors: Tensors) -> Any:
        with _server_errors(self._url):
            return self._client.infer(model, _inputs(tritonclient.http.InferInput, tensors))

    def close(self) -> None:
        self._client.close()


class GrpcTransport(Transport):
    """gRPC."""

    def __init__(self, url: str, timeout_seconds: float) -> None:
        self._url, self._timeout_seconds = url, timeout_seconds
        self._client = tritonclient.grpc.InferenceServerClient(url)

    def config(self, model: str) -> ModelConfig:
        with _server_errors(self._url):
            answer = self._client.get_model_config(
                model, as_json=True, client_timeout=self._timeout_seconds
            )
            return _model_config(answer["config"])

    def infer(self, model: str, tensors: Tensors) -> Any:
        with _server_errors(self._url):
            return self._client.infer(
                model,
                _inputs(tritonclient.grpc.InferInput, tensors),
                client_timeout=self._timeout_seconds,
            )

    def close(self) -> None:
        self._client.close()


def connect(url: str, protocol: Protocol, timeout_seconds: float) -> Transport:
    """`url` is host:port, without a scheme."""
    if protocol == "grpc":
        return GrpcTransport(url, timeout_seconds)
    return HttpTransport(url, timeout_seconds)


@contextmanager
def _server_errors(url: str) -> Iterator[None]:
    try:
        yield
    except InferenceServerException as error:
        raise ServerError(f"Triton at {url}: {error.message()}") from None
    except OSError as error:
        raise ServerError(
            f"Triton at {url} cannot be reached ({error}). Start it, or give its address."
        ) from None


def _model_config(config: Mapping[str, Any]) -> ModelConfig:
    return ModelConfig(
        model=str(config["name"]),
        max_batch_size=int(config["max_batch_size"]),
        parameters={
            key: value.get("string_value", "")
            for key, value in config.get("parameters", {}).items()
        },
    )


def _inputs(form: Any, tensors: Tensors) -> list[Any]:
    inputs = []
    for name, tensor in tensors.items():
        wanted = form(name, list(tensor.shape), np_to_triton_dtype(tensor.dtype))
        wanted.set_data_from_numpy(tensor)
        inputs.append(wanted)
    return inputs
