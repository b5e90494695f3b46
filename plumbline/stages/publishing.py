"""The options of `export.py --publish`, and what they do."""

from __future__ import annotations

import argparse
from pathlib import Path

from plumbline.base.console import say
from plumbline.base.errors import PlumblineError
from plumbline.serving.client.connection import Connection, Protocol, Tls, secret_header
from plumbline.serving.client.model_control import ModelControl
from plumbline.serving.launch.secret import SECRET_HEADER, SECRET_VARIABLE, read_secret
from plumbline.serving.publish.publish import publish
from plumbline.serving.repository.release import Release
from plumbline.settings import Serving

LIVE = "live_repository"

_IN_RUN = Path()
"""Stands for the repository in the run's folder."""

_OF_SERVER = ("protocol", "secret_file", "tls_authority", "tls_certificate", "tls_key")


def add_publish_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("publish")
    group.add_argument(
        "--publish", type=Path, nargs="?", const=_IN_RUN, metavar="REPOSITORY",
        help="add this run's plan and model as the next version of a live repository, or begin it "
        f"with them (default: {LIVE} in the folder of the run)",
    )  # fmt: skip
    group.add_argument(
        "--url", metavar="HOST:PORT",
        help="the server that serves it, started with --allow-model-control: it loads the version "
        "now, and not at its next start",
    )  # fmt: skip
    group.add_argument("--protocol", choices=["http", "grpc"], help="of --url (default: http)")
    group.add_argument(
        "--secret-file", type=Path, metavar="FILE",
        help=f"the server's secret (default: the environment variable {SECRET_VARIABLE})",
    )  # fmt: skip
    group.add_argument(
        "--tls-authority", type=Path, metavar="PEM",
        help="encrypt, and take a server that these certificates vouch for",
    )  # fmt: skip
    group.add_argument("--tls-certificate", type=Path, metavar="PEM", help="this client's own")
    group.add_argument("--tls-key", type=Path, metavar="PEM", help="of this client's certificate")
    group.add_argument(
        "--load-seconds", type=float, default=600.0, metavar="SECONDS",
        help="time limit for the server to load one model (default: %(default)s)",
    )  # fmt: skip


def publish_folder(options: argparse.Namespace, run: Path, export: Path) -> Path | None:
    """The live repository that is asked for, of a run's folder; looked at before any work is done.

    Raises
    ------
    PlumblineError
        An option that would have no effect, or a live repository that stage export itself replaces.
    """
    given = [f"--{name.replace('_', '-')}" for name in _OF_SERVER if getattr(options, name)]
    if options.publish is None and (options.url or given):
        raise PlumblineError(f"{' '.join(given or ['--url'])}: wanted --publish with it.")
    if options.url is None and given:
        raise PlumblineError(f"{' '.join(given)}: wanted --url with it, the server's address.")
    if options.publish is None:
        return None
    folder = run / LIVE if options.publish is _IN_RUN else options.publish
    if folder.resolve().is_relative_to(export.resolve()):
        raise PlumblineError(
            f"--publish {folder}: this is what the export of the same run writes, so it cannot be "
            "served meanwhile. Publish into a folder of its own, and serve that."
        )
    return Path(folder)


def publish_release(
    options: argparse.Namespace, folder: Path, release: Release, settings: Serving
) -> None:
    """Raises RepositoryError or ServerError where it fails; all is as before then."""
    say("", label="publish")
    control = None if options.url is None else _control(options)
    try:
        done = publish(release, folder, settings, control, _line)
    finally:
        if control is not None:
            control.close()
    if not done.is_new:
        _line(f"version {done.number} has this plan and model already: nothing to do")
    elif control is None:
        _line(f"version {done.number} is written: the next start of a server picks it up")
    else:
        _line(f"version {done.number} answers now")


def _control(options: argparse.Namespace) -> ModelControl:
    protocol: Protocol = options.protocol or "http"
    secret = read_secret(options.secret_file)
    files = (options.tls_authority, options.tls_certificate, options.tls_key)
    return ModelControl(
        Connection(
            options.url,
            protocol,
            options.load_seconds,
            headers={} if secret is None else secret_header(protocol, SECRET_HEADER, secret),
            tls=Tls(*files) if any(files) else None,
        )
    )


def _line(text: str) -> None:
    say(f"  {text}")
