"""What `plumbline server` does: serve a repository, and start the server again where it dies."""

from __future__ import annotations

import shutil
import signal
import tempfile
from pathlib import Path

from plumbline.base.console import say
from plumbline.serving.contract.versions import verify_repository
from plumbline.serving.errors import ServerError
from plumbline.serving.launch.server import LOG_BEFORE_FILE, TritonServer
from plumbline.serving.launch.server_options import ServerOptions
from plumbline.serving.publish.publish import roll_back_interrupted


def run_server(repository: Path, options: ServerOptions, ready_seconds: float) -> None:
    """Serve until Ctrl-C or SIGTERM. The log is kept where the server fails.

    Raises
    ------
    PlumblineError
        The repository is not what was exported, or the server does not start, or it ends by itself.
    """
    work = Path(tempfile.mkdtemp(prefix="plumbline-server-"))
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        roll_back_interrupted(repository, say)
        verify_repository(repository, large_files=False)
        with TritonServer(repository, work, options=options, ready_seconds=ready_seconds) as server:
            if options.warning is not None:
                say(f"warning: {options.warning}")
            say(f"HTTP {server.http_url}, gRPC {server.grpc_url}. Ctrl-C stops it.")
            while (status := server.wait()) < 0:
                say(f"The Triton server died ({signal.strsignal(-status)}).")
                server.start_again()
                say(f"It serves again; the log until then: {work / LOG_BEFORE_FILE}.")
            raise ServerError(f"The Triton server ended with status {status} (log: {server.log}).")
    except KeyboardInterrupt:
        shutil.rmtree(work, ignore_errors=True)
        say("Stopped.")
