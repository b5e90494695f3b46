"""End a model's process with its server, however that ends."""

from __future__ import annotations

import os
import select
import threading
from pathlib import Path

_PROGRAM = "triton_python_backend_stub"


def end_with_server(command_line: Path = Path("/proc/self/cmdline")) -> None:
    """Let this process exit as soon as its parent, the server, has ended.

    Triton's own check does not run while the model computes or is stopped. The server may already
    have ended, and another process be the parent now. Triton passes its process id on the command
    line, so that shows: without it there, this process exits at once. A kernel before 5.3 cannot
    report a process's end; Triton's own check has to do there.
    """
    server = os.getppid()
    program, *arguments = command_line.read_bytes().split(b"\0")
    try:
        descriptor = os.pidfd_open(server)
    except ProcessLookupError:
        os._exit(0)
    except OSError:
        return
    if Path(os.fsdecode(program)).name == _PROGRAM and str(server).encode() not in arguments:
        os._exit(0)
    threading.Thread(target=_wait_for, args=[descriptor], daemon=True).start()


def _wait_for(server: int) -> None:
    ended = select.poll()
    ended.register(server, select.POLLIN)
    ended.poll()
    os._exit(0)
