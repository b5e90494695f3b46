"""The work of `plumbline server`: serve a repository, and restart a server that crashes."""

from __future__ import annotations

import shutil
import signal
import tempfile
from contextlib import suppress
from pathlib import Path

from plumbline.base.console import say
from plumbline.serving.contract.versions import verify_repository
from plumbline.serving.errors import ServerError
from plumbline.serving.launch.server import LOG_BEFORE_FILE, TritonServer
from plumbline.serving.launch.server_options import ServerOptions
from plumbline.serving.publish.publish import roll_back_interrupted


def run_server(repository: Path, options: ServerOptions, ready_seconds: float) -> None:
    """Verify the repository, and serve it until Ctrl-C or SIGTERM.

    Raises
    ------
    PlumblineError
        A file was changed after the export, the server does not start, or it exits by itself. Its
        log is kept then.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        roll_back_interrupted(repository, say)
        verify_repository(repository, large_files=False)
        _serve(repository, options, ready_seconds)
    except KeyboardInterrupt:
        say("Stopped.")


def _serve(repository: Path, options: ServerOptions, ready_seconds: float) -> None:
    work = Path(tempfile.mkdtemp(prefix="plumbline-server-"))
    try:
        with TritonServer(repository, work, options=options, ready_seconds=ready_seconds) as server:
            if options.warning is not None:
                say(f"warning: {options.warning}")
            say(f"HTTP {server.http_url}, gRPC {server.grpc_url}. Ctrl-C stops it.")
            while (status := server.wait()) < 0:
                say(f"The Triton server died ({signal.strsignal(-status)}).")
                server.start_again()
                say(f"It was restarted. The log of the crash: {work / LOG_BEFORE_FILE}.")
            raise ServerError(f"The Triton server ended with status {status} (log: {server.log}).")
    except KeyboardInterrupt:
        shutil.rmtree(work, ignore_errors=True)
        raise
    finally:
        with suppress(OSError):
            work.rmdir()  # unless it has the log
