"""What is said to a server and what comes back, whichever protocol, blocking or not."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tritonclient.utils import InferenceServerException, np_to_triton_dtype

from plumbline.columns.wire import Tensors
from plumbline.serving.client.connection import Connection, Tls
from plumbline.serving.client.spoken_protocol import Spoken, advice, spoken_at, tls_at
from plumbline.serving.errors import ServerError, ServerUnavailable

_UNAVAILABLE = ("429", "502", "503", "StatusCode.UNAVAILABLE")
"""Triton's own, over HTTP and gRPC, and those of a proxy whose server is gone or full."""
_NOT_CONNECTED = "failed to connect to all addresses"
"""What gRPC says under the same status as of a server without room."""
_CLOSED = "This protocol is restricted"
"""What Triton's gRPC says, under that status too, where a secret header is missing or wrong."""
_SPOILT = "incomplete string data for inference input"
"""Triton's Python backend refuses a whole batch where one request's last string is cut short. No
request made here is, so another one in the batch was."""
_OTHER_PROTOCOL = "Failed parsing HTTP/2"
_ENDED = ("Socket closed", "andshake", "reset by peer", "onnection closed", "disconnected")
"""What is told of a connection that a server took and ended."""
_TIME_OVER = "StatusCode.DEADLINE_EXCEEDED"
_LARGEST_MESSAGE = 2**31 - 1

GRPC_CHANNEL = [
    ("grpc.max_send_message_length", _LARGEST_MESSAGE),
    ("grpc.max_receive_message_length", _LARGEST_MESSAGE),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 5_000),
]
"""A server that starts again is found again within the delays of a repeated request."""


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """What a client needs of a served model's config."""

    model: str
    max_batch_size: int
    parameters: Mapping[str, str]


@contextmanager
def server_errors(
    connection: Connection,
    broken: tuple[type[Exception], ...] = (),
    strange: tuple[type[Exception], ...] = (),
) -> Iterator[None]:
    """Raise as ServerUnavailable or ServerError what the clients of the protocols raise.

    `broken` is what a protocol's library raises where a connection breaks, beside OSError;
    `strange` where the answer is of another protocol. Where the server broke off as it would do in
    another protocol, it is asked what it speaks.
    """
    url = connection.url
    lost: tuple[type[Exception], ...] = (OSError, *broken)
    try:
        yield
    except InferenceServerException as error:
        if error.status() == _TIME_OVER:
            raise _late(url) from None
        if _OTHER_PROTOCOL in error.message():
            raise _strange(connection) from None
        if _NOT_CONNECTED in error.message():
            raise _broken_off(connection, error.message()) from None
        kind = ServerUnavailable if _may_be_repeated(error) else ServerError
        raise kind(f"Triton at {url}: {error.message()}") from None
    except (TimeoutError, asyncio.TimeoutError):
        raise _late(url) from None
    except ssl.SSLError as error:
        failed = ServerError(f"Triton at {url}: TLS with it fails ({error}).")
        raise _advised(connection) or failed from None
    except lost as error:
        raise _broken_off(connection, error) from None
    except strange:
        raise _strange(connection) from None


def _may_be_repeated(error: InferenceServerException) -> bool:
    if _CLOSED in error.message():
        return False
    return error.status() in _UNAVAILABLE or _SPOILT in error.message()


def _advised(connection: Connection) -> ServerError | None:
    """What to ask for instead, where the server speaks something else."""
    return _told(connection, spoken_at(connection.url))


def _broken_off(connection: Connection, cause: object) -> ServerError:
    """A server that is not there refuses the connection; one of another protocol ends it.

    One that ended a connection of plain HTTP may have TLS, and is sent no other request.
    """
    advised = None
    if connection.tls is not None or any(word in str(cause) for word in _ENDED):
        is_plain_http = connection.protocol == "http" and connection.tls is None
        spoken = tls_at(connection.url) if is_plain_http else spoken_at(connection.url)
        advised = _told(connection, spoken)
    return advised or _unreachable(connection.url, cause)


def _told(connection: Connection, spoken: Spoken | None) -> ServerError | None:
    if spoken is None:
        return None
    found = advice(connection.url, connection.protocol, connection.tls is not None, spoken)
    return ServerError(found) if found is not None else None


def _strange(connection: Connection) -> ServerError:
    return _advised(connection) or ServerError(
        f"{connection.url} answers in another protocol. Triton has a port for HTTP (8000 unless "
        "told otherwise), one for gRPC (8001) and one for metrics alone (8002); and TLS is only "
        "where it was asked for."
    )


def _unreachable(url: str, cause: object) -> ServerUnavailable:
    return ServerUnavailable(
        f"Triton at {url} cannot be reached ({cause}). Start it, or give its address."
    )


def _late(url: str) -> ServerError:
    return ServerError(
        f"Triton at {url} did not answer within the time limit of the request. "
        "Send fewer rows at once, or give it more time."
    )


def model_config(config: Mapping[str, Any]) -> ModelConfig:
    """From the config as JSON gives it."""
    return ModelConfig(
        model=str(config["name"]),
        max_batch_size=int(config["max_batch_size"]),
        parameters={
            key: value.get("string_value", "")
            for key, value in config.get("parameters", {}).items()
        },
    )


def inputs(form: Any, tensors: Tensors) -> list[Any]:
    """The tensors as a protocol's `InferInput`, which is `form`."""
    made = []
    for name, tensor in tensors.items():
        wanted = form(name, list(tensor.shape), np_to_triton_dtype(tensor.dtype))
        wanted.set_data_from_numpy(tensor)
        made.append(wanted)
    return made


def grpc_metadata(headers: Mapping[str, str]) -> dict[str, str]:
    """gRPC takes names in lower case only."""
    return {name.lower(): value for name, value in headers.items()}


def grpc_files(tls: Tls | None) -> dict[str, Any]:
    """The options for encryption of both gRPC clients."""
    if tls is None:
        return {}
    return {
        "ssl": True,
        "root_certificates": tls.authority,
        "private_key": tls.key,
        "certificate_chain": tls.certificate,
    }
