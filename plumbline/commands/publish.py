"""`plumbline export` and `plumbline publish`: repositories, and versions of a live one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from plumbline.base.errors import PlumblineError
from plumbline.base.json_lines import write_json_lines
from plumbline.base.stores import local_path
from plumbline.commands.options import (
    AsJson,
    ConfigFile,
    Data,
    DeviceName,
    EngineName,
    Force,
    Master,
    ModelName,
    Out,
    Scheduler,
    Verify,
    run_of,
)
from plumbline.commands.stages import working_in
from plumbline.serving.client.connection import SECRET_VARIABLE, Protocol, Tls
from plumbline.stages.run import DEFAULT_CONFIG, Run
from plumbline.stages.run_all import stage_named

if TYPE_CHECKING:
    from plumbline.stages.publishing import LoadingServer

LOAD_SECONDS = 600.0
SERVER = "Live repository and its server"
_LIVE = "live_repository in the folder of the run"

Url = Annotated[
    str | None,
    typer.Option(
        metavar="HOST:PORT",
        rich_help_panel=SERVER,
        help="Server of the live repository, started with --allow-model-control; it loads the new "
        "version at once.",
        show_default="none: the next start of a server loads it",
    ),
]
ServerProtocol = Annotated[
    Protocol | None,
    typer.Option(rich_help_panel=SERVER, help="Protocol of --url.", show_default="http"),
]
SecretFile = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        rich_help_panel=SERVER,
        help="File with the server's secret.",
        show_default=f"the environment variable {SECRET_VARIABLE}",
    ),
]
TlsAuthority = Annotated[
    Path | None,
    typer.Option(
        metavar="PEM",
        rich_help_panel=SERVER,
        help="Use TLS, and trust servers whose certificate one of these has signed.",
        show_default="no encryption",
    ),
]
TlsCertificate = Annotated[
    Path | None,
    typer.Option(
        metavar="PEM",
        rich_help_panel=SERVER,
        help="This client's certificate.",
        show_default="none",
    ),
]
TlsKey = Annotated[
    Path | None,
    typer.Option(
        metavar="PEM", rich_help_panel=SERVER, help="Key of --tls-certificate.", show_default="none"
    ),
]
LoadSeconds = Annotated[
    float | None,
    typer.Option(
        metavar="SECONDS",
        min=0.0,
        rich_help_panel=SERVER,
        help="Time limit for the server to load one model.",
        show_default=f"{LOAD_SECONDS:g}",
    ),
]


def export(
    config: ConfigFile = DEFAULT_CONFIG,
    data: Data = None,
    out: Out = None,
    engine: EngineName = "auto",
    scheduler: Scheduler = None,
    master: Master = None,
    model: ModelName = "fused",
    device: DeviceName = "auto",
    force: Force = False,
    verify: Verify = False,
    publish: Annotated[
        str | None,
        typer.Option(
            metavar="[REPOSITORY]",
            rich_help_panel=SERVER,
            help="Add this run's plan and model to a live repository as its next version, or begin "
            f"it; without a value: {_LIVE}.",
            show_default="off",
        ),
    ] = None,
    url: Url = None,
    protocol: ServerProtocol = None,
    secret_file: SecretFile = None,
    tls_authority: TlsAuthority = None,
    tls_certificate: TlsCertificate = None,
    tls_key: TlsKey = None,
    load_seconds: LoadSeconds = None,
    as_json: AsJson = False,
) -> None:
    """Write plan and weights as Triton model repositories; with --publish, also into a live one."""
    write_json_lines(as_json)
    server = _server(
        url, protocol, secret_file, tls_authority, tls_certificate, tls_key, load_seconds
    )
    if publish is None and server is not None:
        raise PlumblineError("--url: wanted --publish with it.")
    run, folder = run_of(config, data, out, engine, scheduler, model, device, master=master)
    with working_in(folder):
        if publish is None:
            stage_named("export").ensure(run, folder, force=force, verify=verify)
        else:
            _publish(run, folder, publish, server, force, verify)


def publish(
    config: ConfigFile = DEFAULT_CONFIG,
    data: Data = None,
    out: Out = None,
    engine: EngineName = "auto",
    scheduler: Scheduler = None,
    master: Master = None,
    model: ModelName = "fused",
    device: DeviceName = "auto",
    force: Force = False,
    verify: Verify = False,
    repository: Annotated[
        str,
        typer.Option(
            metavar="FOLDER",
            rich_help_panel=SERVER,
            help="The live repository: a folder, or a URL such as s3://BUCKET/MODELS.",
            show_default=_LIVE,
        ),
    ] = "",
    url: Url = None,
    protocol: ServerProtocol = None,
    secret_file: SecretFile = None,
    tls_authority: TlsAuthority = None,
    tls_certificate: TlsCertificate = None,
    tls_key: TlsKey = None,
    load_seconds: LoadSeconds = None,
    as_json: AsJson = False,
) -> None:
    """Publish a run as the next version of a live repository.

    A repository that does not exist yet is created. The same as `export --publish`.
    """
    write_json_lines(as_json)
    server = _server(
        url, protocol, secret_file, tls_authority, tls_certificate, tls_key, load_seconds
    )
    run, folder = run_of(config, data, out, engine, scheduler, model, device, master=master)
    with working_in(folder):
        _publish(run, folder, repository, server, force, verify)


def _publish(
    run: Run,
    folder: Path,
    repository: str,
    server: LoadingServer | None,
    force: bool,
    verify: bool,
) -> None:
    from plumbline.stages.publishing import LIVE, publish_run

    live: Path | str = folder / LIVE
    if repository:
        live = local_path(repository) or repository
    publish_run(run, folder, live, server, force=force, verify=verify)


def _server(
    url: str | None,
    protocol: Protocol | None,
    secret_file: Path | None,
    tls_authority: Path | None,
    tls_certificate: Path | None,
    tls_key: Path | None,
    load_seconds: float | None,
) -> LoadingServer | None:
    """The server at --url, or None. Without --url its other options would do nothing: an error."""
    if url is None:
        options = {
            "--protocol": protocol,
            "--secret-file": secret_file,
            "--tls-authority": tls_authority,
            "--tls-certificate": tls_certificate,
            "--tls-key": tls_key,
            "--load-seconds": load_seconds,
        }
        given = " ".join(name for name, value in options.items() if value is not None)
        if given:
            raise PlumblineError(f"{given}: wanted --url with it, the server's address.")
        return None
    from plumbline.stages.publishing import LoadingServer

    files = (tls_authority, tls_certificate, tls_key)
    return LoadingServer(
        url,
        protocol or "http",
        secret_file,
        Tls(*files) if any(files) else None,
        LOAD_SECONDS if load_seconds is None else load_seconds,
    )
