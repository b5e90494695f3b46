"""What a run has exported, published as the next version of a live repository."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from plumbline.base.console import say
from plumbline.base.errors import PlumblineError
from plumbline.serving.client.connection import (
    SECRET_HEADER,
    Connection,
    Protocol,
    Tls,
    read_secret,
    secret_header,
)
from plumbline.serving.publish.live_server import LiveServer
from plumbline.serving.publish.publish import publish
from plumbline.stages import export
from plumbline.stages.run import Run

LIVE = "live_repository"
"""The repository in the folder of the run."""


@dataclass(frozen=True, slots=True)
class LoadingServer:
    """The server that serves the live repository, and loads the version now."""

    url: str
    protocol: Protocol
    secret_file: Path | None
    tls: Tls | None
    load_seconds: float


def publish_run(
    run: Run, folder: Path, repository: Path, server: LoadingServer | None, *, force: bool
) -> None:
    """Ensure stage export, then publish what it was made from; a new repository begins with it.

    Raises
    ------
    PlumblineError
        The repository is the one that stage export itself replaces; or see `Stage.ensure` and
        `plumbline.serving.publish.publish`: the repository is as before then.
    """
    if repository.resolve().is_relative_to((folder / export.STAGE.name).resolve()):
        raise PlumblineError(
            f"--publish {repository}: this is what the export of the same run writes, so it cannot "
            "be served meanwhile. Publish into a folder of its own, and serve that."
        )
    export.STAGE.ensure(run, folder, force=force)
    release = export.release_of(run, folder)
    say("", label="publish")
    report = partial(say, label="  ")
    live = None if server is None else _connected(server)
    try:
        done = publish(release, repository, run.config.serving, live, report)
    finally:
        if live is not None:
            live.close()
    if not done.is_new:
        report(f"version {done.number} has this plan and model already: nothing to do")
    elif live is None:
        report(f"version {done.number} is written: the next start of a server loads it")
    else:
        report(f"version {done.number} answers now")


def _connected(server: LoadingServer) -> LiveServer:
    secret = read_secret(server.secret_file)
    headers = {} if secret is None else secret_header(server.protocol, SECRET_HEADER, secret)
    return LiveServer(
        Connection(
            server.url, server.protocol, server.load_seconds, headers=headers, tls=server.tls
        )
    )
