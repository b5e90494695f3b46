"""The options of a server: where it listens, what it allows and to whom, and TLS."""

from __future__ import annotations

import ipaddress
import secrets
from dataclasses import dataclass, field
from pathlib import Path

from plumbline.serving.client.connection import SECRET_HEADER, SECRET_VARIABLE
from plumbline.serving.errors import ServerError
from plumbline.serving.launch.ports import Ports

LOOPBACK = "127.0.0.1"

_SETTINGS = ("trace", "logging")
"""Endpoints that change how the server traces and logs."""
_SHARED_MEMORY = ("shared-memory",)
_MODEL_CONTROL = ("model-repository",)
_SCORING = ("metadata", "inference", "model-config", "statistics")
"""Endpoints that a client uses; those of health stay open to probes."""


@dataclass(frozen=True, slots=True)
class ServerTls:
    """PEM files for gRPC; Triton's HTTP has no TLS. With `client_ca`, clients need certificates.

    Raises ServerError where a file is not there.
    """

    certificate: Path
    key: Path
    client_ca: Path | None = None

    def __post_init__(self) -> None:
        for file in filter(None, (self.certificate, self.key, self.client_ca)):
            if not file.is_file():
                raise ServerError(f"{file}: wanted a PEM file for TLS, there is no file.")

    def arguments(self) -> list[str]:
        return [
            "--grpc-use-ssl=true",
            f"--grpc-server-cert={self.certificate.resolve()}",
            f"--grpc-server-key={self.key.resolve()}",
        ] + (
            ["--grpc-use-ssl-mutual=true", f"--grpc-root-cert={self.client_ca.resolve()}"]
            if self.client_ca is not None
            else []
        )


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """By default only this machine is served, and nothing but scoring.

    What is off is closed to everyone. What `allow_…` turns on needs the secret in a header, since
    loading a model means running code. Triton takes the secret on its command line, where this
    machine's users can see it in the list of processes.

    Raises ServerError where an option needs the secret and there is none.
    """

    host: str = LOOPBACK
    """Address that gRPC binds to; HTTP and metrics too, unless there is TLS: they cannot encrypt,
    so then they stay on loopback."""
    ports: Ports = field(default_factory=Ports.free)
    allow_model_control: bool = False
    """Let clients load and unload models while the server runs."""
    allow_shared_memory: bool = False
    """Let clients on this machine pass tensors in shared memory."""
    protect_scoring: bool = False
    """Require the secret in requests for scores, configs and statistics too."""
    secret: str | None = field(default=None, repr=False)
    tls: ServerTls | None = None

    def __post_init__(self) -> None:
        for name in ("allow_model_control", "allow_shared_memory", "protect_scoring"):
            if getattr(self, name) and self.secret is None:
                raise ServerError(
                    f"--{name.replace('_', '-')} needs a secret. Put one into the environment "
                    f"variable {SECRET_VARIABLE}, or name a file by --secret-file."
                )

    @property
    def unencrypted_host(self) -> str:
        """The address that HTTP and metrics bind to."""
        return LOOPBACK if self.tls is not None else self.host

    @property
    def warning(self) -> str | None:
        """What is open to the network, where that may be more than intended."""
        if _is_loopback(self.host):
            return None
        found = []
        if self.tls is None:
            found.append("nothing is encrypted (see --tls-certificate)")
        if not self.protect_scoring:
            found.append("anyone who can reach it gets scores (see --protect-scoring)")
        if self.tls is None:
            found.append("metrics have no protection")
        return f"{self.host}: {'; '.join(found)}." if found else None

    def arguments(self, ports: Ports) -> list[str]:
        """Options of `tritonserver`; `ports` are those of the options with every 0 resolved."""
        return [
            *self._model_control(),
            f"--http-address={self.unencrypted_host}",
            f"--http-port={ports.http}",
            f"--grpc-address={self.host}",
            f"--grpc-port={ports.grpc}",
            f"--metrics-address={self.unencrypted_host}",
            f"--metrics-port={ports.metrics}",
            *self._restrictions(),
            *(self.tls.arguments() if self.tls is not None else []),
        ]

    def _model_control(self) -> list[str]:
        """Triton listens once all models are loaded, and exits if one does not load.

        With strict readiness it would report that it is not ready while a version is loaded beside
        those that serve, and after one was refused, and load balancers would turn requests away.
        """
        if not self.allow_model_control:
            return ["--model-control-mode=none", "--strict-readiness=true"]
        return ["--model-control-mode=explicit", "--load-model=*", "--strict-readiness=false"]

    def _restrictions(self) -> list[str]:
        """Triton cannot turn these endpoints off, but can require a header for them."""
        closed: list[str] = list(_SETTINGS)
        secret: list[str] = []
        for endpoints, allowed in (
            (_SHARED_MEMORY, self.allow_shared_memory),
            (_MODEL_CONTROL, self.allow_model_control),
        ):
            (secret if allowed else closed).extend(endpoints)
        if self.protect_scoring:
            secret.extend(_SCORING)
        # No header can carry a line break, so that reading the command line does not open these.
        found = _restricted(closed, "plumbline-closed", f"{secrets.token_urlsafe()}\n")
        if secret:
            found += _restricted(secret, SECRET_HEADER, str(self.secret))
        return found


def _restricted(endpoints: list[str], header: str, value: str) -> list[str]:
    rule = f"{','.join(endpoints)}:{header}={value}"
    return [f"--http-restricted-api={rule}", f"--grpc-restricted-protocol={rule}"]


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
