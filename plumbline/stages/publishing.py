"""Publish a run as the next version of a live repository."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from plumbline.base.console import say
from plumbline.base.errors import PlumblineError
from plumbline.base.exit_status import machine_errors
from plumbline.serving.client.connection import (
    SECRET_HEADER,
    Connection,
    Protocol,
    Tls,
    read_secret,
    secret_header,
)
from plumbline.serving.publish.live_server import LiveServer
from plumbline.serving.publish.object_store import publish_to_store
from plumbline.serving.publish.publish import publish
from plumbline.stages import export
from plumbline.stages.run import Run

LIVE = "live_repository"
"""The default live repository, in the run's folder."""


@dataclass(frozen=True, slots=True)
class LoadingServer:
    """The running server of the live repository, which loads the new version."""

    url: str
    protocol: Protocol
    secret_file: Path | None
    tls: Tls | None
    load_seconds: float


def publish_run(
    run: Run,
    folder: Path,
    repository: Path | str,
    server: LoadingServer | None,
    *,
    force: bool,
    verify: bool,
) -> None:
    """Complete the stage export, then publish its plan and model.

    `repository` is a folder, or the URL of one in an object store. One that does not exist yet is
    created. Without a server, the next start of one loads the version. With `force`, the stage is
    run again; with `verify`, its files are checked if it is complete.

    Raises
    ------
    PlumblineError
        The repository is in the folder that the stage itself replaces; or see `Stage.ensure` and
        `plumbline.serving.publish.publish`. The repository is then unchanged.
    """
    if isinstance(repository, str):
        if server is not None:
            raise PlumblineError(
                f"--url {server.url}: wanted none with a repository in an object store. Its "
                "servers load a version when they start, or when they poll."
            )
    elif repository.resolve().is_relative_to((folder / export.STAGE.name).resolve()):
        raise PlumblineError(
            f"--publish {repository}: the export of this run replaces this folder, so no server "
            "can serve it. Publish into a folder of its own."
        )
    export.STAGE.ensure(run, folder, force=force, verify=verify)
    release = export.release_of(run, folder)
    say("", label="publish")
    report = partial(say, label="  ")
    live = None if server is None else _connected(server)
    try:
        if isinstance(repository, str):
            with TemporaryDirectory(prefix=".publish-", dir=folder) as scratch:
                done = publish_to_store(
                    release, repository, run.config.serving, Path(scratch), report
                )
        else:
            with machine_errors(repository):
                done = publish(release, repository, run.config.serving, live, report)
    finally:
        if live is not None:
            live.close()
    if not done.is_new:
        report(f"version {done.number} already has this plan and model: nothing to do")
    elif live is None:
        report(f"version {done.number} is written; the next start of a server loads it")
    else:
        report(f"version {done.number} answers requests now")


def _connected(server: LoadingServer) -> LiveServer:
    secret = read_secret(server.secret_file)
    headers = {} if secret is None else secret_header(server.protocol, SECRET_HEADER, secret)
    return LiveServer(
        Connection(
            server.url, server.protocol, server.load_seconds, headers=headers, tls=server.tls
        )
    )
