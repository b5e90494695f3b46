"""`plumbline server`: start a Triton server on a model repository."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from plumbline.base.json_lines import write_json_lines
from plumbline.commands.options import AsJson
from plumbline.serving.client.connection import SECRET_VARIABLE, read_secret
from plumbline.serving.errors import ServerError
from plumbline.serving.gateway.settings import Limits
from plumbline.serving.launch.gateway_options import GatewayOptions
from plumbline.serving.launch.ports import Ports
from plumbline.serving.launch.server_options import (
    LOOPBACK,
    ServerOptions,
    ServerTls,
    is_loopback,
)


def server(
    repository: Annotated[
        Path, typer.Argument(metavar="REPOSITORY", help="The model repository folder.")
    ],
    http_port: Annotated[
        int,
        typer.Option(
            metavar="PORT", rich_help_panel="Addresses", help="Port of HTTP; 0 for any free one."
        ),
    ] = 8000,
    grpc_port: Annotated[
        int,
        typer.Option(
            metavar="PORT", rich_help_panel="Addresses", help="Port of gRPC; 0 for any free one."
        ),
    ] = 8001,
    metrics_port: Annotated[
        int,
        typer.Option(
            metavar="PORT",
            rich_help_panel="Addresses",
            help="Port of the metrics; 0 for any free one.",
        ),
    ] = 8002,
    host: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            rich_help_panel="Addresses",
            help="Address to bind to; 0.0.0.0 opens it to the network.",
        ),
    ] = LOOPBACK,
    allow_model_control: Annotated[
        bool,
        typer.Option(
            "--allow-model-control",
            rich_help_panel="Access",
            help="Let clients load models while it runs; needs a secret.",
            show_default="off",
        ),
    ] = False,
    allow_shared_memory: Annotated[
        bool,
        typer.Option(
            "--allow-shared-memory",
            rich_help_panel="Access",
            help="Let local clients pass tensors in shared memory; needs a secret.",
            show_default="off",
        ),
    ] = False,
    protect_scoring: Annotated[
        bool,
        typer.Option(
            "--protect-scoring",
            rich_help_panel="Access",
            help="Require the secret in every request.",
            show_default="off",
        ),
    ] = False,
    secret_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            rich_help_panel="Access",
            help="File with the secret.",
            show_default=f"the environment variable {SECRET_VARIABLE}",
        ),
    ] = None,
    tls_certificate: Annotated[
        Path | None,
        typer.Option(
            metavar="PEM",
            rich_help_panel="Access",
            help="Encrypt the gateway with this certificate; without one, gRPC only.",
            show_default="no encryption",
        ),
    ] = None,
    tls_key: Annotated[
        Path | None,
        typer.Option(
            metavar="PEM",
            rich_help_panel="Access",
            help="Key of --tls-certificate.",
            show_default="none",
        ),
    ] = None,
    tls_client_ca: Annotated[
        Path | None,
        typer.Option(
            metavar="PEM",
            rich_help_panel="Access",
            help="Require client certificates that this one has signed.",
            show_default="clients need none",
        ),
    ] = None,
    ready_seconds: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            min=0.0,
            rich_help_panel="Checks",
            help="Time limit for loading the models; time in which they compute counts a tenth.",
        ),
    ] = 120.0,
    check_seconds: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            min=0.1,
            rich_help_panel="Checks",
            help="Time between two checks of the answers.",
        ),
    ] = 2.0,
    gateway: Annotated[
        bool | None,
        typer.Option(
            rich_help_panel="Gateway",
            help="Put a gateway in front of the server, which then stays on this machine.",
            show_default="on unless --host is loopback",
        ),
    ] = None,
    gateway_port: Annotated[
        int,
        typer.Option(
            metavar="PORT",
            rich_help_panel="Gateway",
            help="Port of the gateway; 0 for any free one.",
        ),
    ] = 8080,
    gateway_processes: Annotated[
        int,
        typer.Option(
            metavar="PROCESSES", rich_help_panel="Gateway", help="Processes of the gateway."
        ),
    ] = 1,
    max_body: Annotated[
        int,
        typer.Option(
            metavar="BYTES", rich_help_panel="Gateway", help="Largest body that the gateway takes."
        ),
    ] = Limits().body_bytes,
    max_rows: Annotated[
        int,
        typer.Option(
            metavar="ROWS", rich_help_panel="Gateway", help="Most rows of a request to the gateway."
        ),
    ] = Limits().rows,
    max_in_flight: Annotated[
        int,
        typer.Option(
            metavar="REQUESTS",
            rich_help_panel="Gateway",
            help="Most requests that the gateway has at once.",
        ),
    ] = Limits().in_flight,
    request_seconds: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            rich_help_panel="Gateway",
            help="Time limit of a request to the gateway.",
        ),
    ] = Limits().seconds,
    page: Annotated[
        bool,
        typer.Option(
            rich_help_panel="Gateway",
            help="Answer / of the gateway with a page to try the model.",
        ),
    ] = True,
    as_json: AsJson = False,
) -> None:
    """Serve a model repository until it is interrupted.

    A server that crashes, or answers otherwise than at export, is restarted.
    """
    from plumbline.commands.run_server import Launch, run_server

    write_json_lines(as_json)
    secret = read_secret(secret_file)
    tls = _tls(tls_certificate, tls_key, tls_client_ca)
    has_gateway = not is_loopback(host) if gateway is None else gateway
    server = ServerOptions(
        host=LOOPBACK if has_gateway else host,
        ports=Ports(http_port, grpc_port, metrics_port),
        allow_model_control=allow_model_control,
        allow_shared_memory=allow_shared_memory,
        protect_scoring=protect_scoring,
        secret=secret,
        tls=None if has_gateway else tls,
    )
    limits = Limits(max_body, max_rows, max_in_flight, request_seconds)
    in_front = (
        GatewayOptions(host, gateway_port, gateway_processes, secret, tls, limits, page=page)
        if has_gateway
        else None
    )
    run_server(repository, Launch(server, in_front, ready_seconds, check_seconds))


def _tls(certificate: Path | None, key: Path | None, client_ca: Path | None) -> ServerTls | None:
    if certificate is not None and key is not None:
        return ServerTls(certificate, key, client_ca)
    if (certificate, key, client_ca) != (None, None, None):
        raise ServerError("TLS: wanted --tls-certificate and --tls-key, one of them is missing.")
    return None
