"""What the launcher tells a gateway process: its settings once, and then its own state.

Both are JSON, one object a line, on the gateway's standard input. So a secret stands in no list of
processes, and the end of the input tells that the launcher is gone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from plumbline.serving.errors import ServerError

METRICS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
"""Environment variable by which prometheus_client knows that processes share their metrics."""
HEARTBEAT_SECONDS = 1.0
"""The launcher sends its state at least this often."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request, and all requests together, may take.

    Raises ServerError if a limit is not above 0.
    """

    body_bytes: int = 8 * 2**20
    """Bytes of one body."""
    rows: int = 8192
    """Rows of one request."""
    in_flight: int = 64
    """Requests that are converted or scored at a time."""
    seconds: float = 10.0
    """From the head of a request to its answer, its body included."""

    def __post_init__(self) -> None:
        for option, value in (
            ("--max-body", self.body_bytes),
            ("--max-rows", self.rows),
            ("--max-in-flight", self.in_flight),
            ("--request-seconds", self.seconds),
        ):
            if not value > 0:
                raise ServerError(f"{option}: wanted a number above 0, got {value}.")


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """PEM files. With `client_ca`, clients need a certificate that it has signed."""

    certificate: str
    key: str
    client_ca: str | None = None


@dataclass(frozen=True, slots=True)
class GatewaySettings:
    """The settings of one gateway process."""

    listen_fd: int
    """File descriptor of the socket that the launcher bound."""
    triton: str
    """Host and port of Triton's HTTP."""
    triton_metrics: str
    model: str
    """The model that scores."""
    secret: str | None = field(default=None, repr=False)
    """If given, every request but those for health must have it as bearer token."""
    triton_secret: str | None = field(default=None, repr=False)
    tls: TlsFiles | None = None
    limits: Limits = field(default_factory=Limits)
    repository: str | None = None
    """The model repository, whose plan the page reads; None if there is no page."""

    def to_line(self) -> str:
        return json.dumps(asdict(self)) + "\n"

    @classmethod
    def from_line(cls, line: str | bytes) -> GatewaySettings:
        content = json.loads(line)
        tls = content.pop("tls")
        return cls(
            **{key: value for key, value in content.items() if key != "limits"},
            limits=Limits(**content["limits"]),
            tls=None if tls is None else TlsFiles(**tls),
        )


@dataclass(frozen=True, slots=True)
class LauncherState:
    """What the launcher knows of the server behind the gateway."""

    ready: bool = False
    """Whether every model answered its check rows rightly."""
    restarts: Mapping[str, int] = field(default_factory=dict)
    """Cause to number of restarts."""
    server_up_since: float = 0.0
    """Unix seconds; 0 before the server was ready for the first time."""

    def to_line(self) -> str:
        return json.dumps(asdict(self)) + "\n"

    @classmethod
    def from_line(cls, line: str | bytes) -> LauncherState:
        return cls(**json.loads(line))
