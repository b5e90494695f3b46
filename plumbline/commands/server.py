"""`plumbline server`: start a Triton server on a model repository."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from plumbline.serving.client.connection import SECRET_VARIABLE, read_secret
from plumbline.serving.errors import ServerError
from plumbline.serving.launch.ports import Ports
from plumbline.serving.launch.server_options import LOOPBACK, ServerOptions, ServerTls


def server(
    repository: Annotated[
        Path, typer.Argument(metavar="REPOSITORY", help="The model repository folder.")
    ],
    http_port: Annotated[
        int, typer.Option(metavar="PORT", help="Port of HTTP; 0 for any free one.")
    ] = 8000,
    grpc_port: Annotated[
        int, typer.Option(metavar="PORT", help="Port of gRPC; 0 for any free one.")
    ] = 8001,
    metrics_port: Annotated[
        int, typer.Option(metavar="PORT", help="Port of the metrics; 0 for any free one.")
    ] = 8002,
    host: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS", help="Address to bind to; 0.0.0.0 opens it to the network."
        ),
    ] = LOOPBACK,
    allow_model_control: Annotated[
        bool,
        typer.Option(
            "--allow-model-control",
            help="Let clients load models while it runs; needs a secret.",
            show_default="off",
        ),
    ] = False,
    allow_shared_memory: Annotated[
        bool,
        typer.Option(
            "--allow-shared-memory",
            help="Let local clients pass tensors in shared memory; needs a secret.",
            show_default="off",
        ),
    ] = False,
    protect_scoring: Annotated[
        bool,
        typer.Option(
            "--protect-scoring", help="Require the secret in every request.", show_default="off"
        ),
    ] = False,
    secret_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="File with the secret.",
            show_default=f"the environment variable {SECRET_VARIABLE}",
        ),
    ] = None,
    tls_certificate: Annotated[
        Path | None,
        typer.Option(
            metavar="PEM",
            help="Encrypt gRPC with this certificate; HTTP then stays on this machine.",
            show_default="no encryption",
        ),
    ] = None,
    tls_key: Annotated[
        Path | None,
        typer.Option(metavar="PEM", help="Key of --tls-certificate.", show_default="none"),
    ] = None,
    tls_client_ca: Annotated[
        Path | None,
        typer.Option(
            metavar="PEM",
            help="Require client certificates that this one has signed.",
            show_default="clients need none",
        ),
    ] = None,
    ready_seconds: Annotated[
        float,
        typer.Option(metavar="SECONDS", min=0.0, help="Time limit for loading the models."),
    ] = 120.0,
) -> None:
    """Serve a model repository until it is interrupted.

    A server that crashes is restarted, and its log is kept.
    """
    from plumbline.commands.run_server import run_server

    options = ServerOptions(
        host=host,
        ports=Ports(http_port, grpc_port, metrics_port),
        allow_model_control=allow_model_control,
        allow_shared_memory=allow_shared_memory,
        protect_scoring=protect_scoring,
        secret=read_secret(secret_file),
        tls=_tls(tls_certificate, tls_key, tls_client_ca),
    )
    run_server(repository, options, ready_seconds)


def _tls(certificate: Path | None, key: Path | None, client_ca: Path | None) -> ServerTls | None:
    if certificate is not None and key is not None:
        return ServerTls(certificate, key, client_ca)
    if (certificate, key, client_ca) != (None, None, None):
        raise ServerError("TLS: wanted --tls-certificate and --tls-key, one of them is missing.")
    return None
