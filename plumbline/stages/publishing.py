"""What a run has exported, published as the next version of a live repository."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from plumbline.base.console import say
from plumbline.base.errors import PlumblineError
from plumbline.serving.client.connection import Connection, Protocol, Tls, secret_header
from plumbline.serving.client.model_control import ModelControl
from plumbline.serving.launch.secret import SECRET_HEADER, read_secret
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
    control = None if server is None else _control(server)
    try:
        done = publish(release, repository, run.config.serving, control, _line)
    finally:
        if control is not None:
            control.close()
    if not done.is_new:
        _line(f"version {done.number} has this plan and model already: nothing to do")
    elif control is None:
        _line(f"version {done.number} is written: the next start of a server picks it up")
    else:
        _line(f"version {done.number} answers now")


def _control(server: LoadingServer) -> ModelControl:
    secret = read_secret(server.secret_file)
    headers = {} if secret is None else secret_header(server.protocol, SECRET_HEADER, secret)
    return ModelControl(
        Connection(
            server.url, server.protocol, server.load_seconds, headers=headers, tls=server.tls
        )
    )


def _line(text: str) -> None:
    say(f"  {text}")
