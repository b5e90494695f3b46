"""The options of a server: addresses, permissions and TLS."""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from plumbline.base.device import cuda_devices
from plumbline.serving.client.connection import CLOSED_HEADER, SECRET_HEADER, SECRET_VARIABLE
from plumbline.serving.errors import ServerError
from plumbline.serving.launch.ports import Ports

LOOPBACK = "127.0.0.1"

_SETTINGS = ("trace", "logging")
"""Endpoints that change how the server traces and logs."""
_SHARED_MEMORY = ("shared-memory",)
_CLIENT_MEMORY = "--allow-client-shm"
_MODEL_CONTROL = ("model-repository",)
_SCORING = ("metadata", "inference", "model-config", "statistics")
"""Endpoints that clients use. Those for health checks are always open."""
_CLOUD = ("--allow-sagemaker=false", "--allow-vertex-ai=false")
"""Servers of their own, on all addresses and without Triton's restrictions before 26.03."""


@dataclass(frozen=True, slots=True)
class ServerTls:
    """PEM files for gRPC; Triton's HTTP has no TLS. With `client_ca`, clients need certificates.

    Raises ServerError if a file is missing.
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
    """By default the server listens on loopback only, and only scores.

    Endpoints that are off are closed to everyone. Those that `allow_…` opens require the secret in
    a header, because loading a model runs code. Triton gets the secret on its command line, so
    users of this machine can see it in the list of processes.

    Raises ServerError if an option needs the secret and there is none.
    """

    host: str = LOOPBACK
    """The address that gRPC binds to. HTTP and metrics bind to it too, except with TLS: they cannot
    encrypt, so they then stay on loopback."""
    ports: Ports = field(default_factory=Ports.free)
    allow_model_control: bool = False
    """Let clients load and unload models while the server runs."""
    allow_shared_memory: bool = False
    """Let clients on this machine pass tensors in shared memory."""
    protect_scoring: bool = False
    """Require the secret in requests for scores, configs and statistics too."""
    secret: str | None = field(default=None, repr=False)
    tls: ServerTls | None = None
    gpu_metrics: bool = field(default_factory=lambda: cuda_devices() > 0)
    """Measure the GPUs' load, memory and power; by default, if there is a GPU."""

    def __post_init__(self) -> None:
        for name in ("allow_model_control", "allow_shared_memory", "protect_scoring"):
            if getattr(self, name) and self.secret is None:
                raise ServerError(
                    f"--{name.replace('_', '-')} needs a secret. Put one into the environment "
                    f"variable {SECRET_VARIABLE}, or name a file with --secret-file."
                )

    @property
    def unencrypted_host(self) -> str:
        """The address that HTTP and metrics bind to."""
        return LOOPBACK if self.tls is not None else self.host

    @property
    def warning(self) -> str | None:
        """What is open to the network, perhaps by mistake; None for a server on loopback."""
        if is_loopback(self.host):
            return None
        open_to_all = []
        if self.tls is None:
            open_to_all.append("nothing is encrypted (see --tls-certificate)")
        if not self.protect_scoring:
            open_to_all.append("anyone who can reach it gets scores (see --protect-scoring)")
        if self.tls is None:
            open_to_all.append("metrics are not protected")
        return f"{self.host}: {'; '.join(open_to_all)}." if open_to_all else None

    def arguments(self, ports: Ports) -> list[str]:
        """Options of `tritonserver`. `ports` are the resolved ones."""
        return [
            *self._model_control(),
            f"--http-address={self.unencrypted_host}",
            f"--http-port={ports.http}",
            f"--grpc-address={self.host}",
            f"--grpc-port={ports.grpc}",
            f"--metrics-address={self.unencrypted_host}",
            f"--metrics-port={ports.metrics}",
            f"--allow-gpu-metrics={str(self.gpu_metrics).lower()}",
            *_CLOUD,
            *self._restrictions(),
            *(self.tls.arguments() if self.tls is not None else []),
        ]

    def arguments_of_later_releases(self, takes: Callable[[str], bool]) -> list[str]:
        """Options that Triton 2.51 does not have, for a server that `takes` them.

        From 26.04 on, Triton refuses clients' shared memory unless told otherwise.
        """
        if self.allow_shared_memory and takes(_CLIENT_MEMORY):
            return [f"{_CLIENT_MEMORY}=true"]
        return []

    def _model_control(self) -> list[str]:
        """Triton listens when all models are loaded, and exits if one does not load.

        Model control turns strict readiness off. With it, a server would not be ready while it
        loads a further version, or after one failed, and load balancers would send no requests.
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
        # No header can contain a line break, so nobody who sees the command line can send it.
        options = _restricted(closed, CLOSED_HEADER, f"{secrets.token_urlsafe()}\n")
        if secret:
            options += _restricted(secret, SECRET_HEADER, str(self.secret))
        return options


def _restricted(endpoints: list[str], header: str, value: str) -> list[str]:
    rule = f"{','.join(endpoints)}:{header}={value}"
    return [f"--http-restricted-api={rule}", f"--grpc-restricted-protocol={rule}"]


def is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
