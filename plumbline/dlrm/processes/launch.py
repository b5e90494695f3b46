"""Start this command again in several processes on this machine, as torchrun does.

torchrun's own agent watches them: if one ends with an error, it ends the others. What torchrun
prints on its own about that is replaced by one line.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

import plumbline
from plumbline.base.command_line import interrupted
from plumbline.base.errors import PlumblineError
from plumbline.base.exit_status import USER_ERROR

BETWEEN_LOOKS = 0.1
"""Seconds between two looks at the processes."""


def launch(count: int) -> int:
    """Run the command line of this process in `count` processes; returns the exit status.

    A process that ends with an error has printed it. After Ctrl-C this raises KeyboardInterrupt.

    Raises
    ------
    PlumblineError
        A process was killed, or ended in another way without a word.
    """
    from torch.distributed.elastic.multiprocessing.api import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    logging.getLogger("torch.distributed").setLevel(logging.CRITICAL)
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=count,
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        local_addr="localhost",
        max_restarts=0,
        monitor_interval=BETWEEN_LOOKS,
        logs_specs=DefaultLogsSpecs(log_dir=os.devnull),  # else it leaves a temporary folder
    )
    try:
        elastic_launch(config, sys.executable)(*program(sys.argv[0]), *sys.argv[1:])
    except ChildFailedError as error:
        return _status(error.failures.values(), count)
    except SignalException as ended:
        if ended.sigval == signal.SIGINT:
            raise interrupted() from None
        return 128 + int(ended.sigval)
    return 0


def program(started: str) -> tuple[str, ...]:
    """Python's arguments that run the file `started` again: this package as a module.

    As a file, its `__main__.py` would have Python look for modules in the package's folder first,
    where `plumbline.nvtabular` hides NVTabular.
    """
    file = Path(started).resolve()
    package = Path(plumbline.__file__).resolve().parent
    return ("-m", package.name) if file == package / "__main__.py" else (str(file),)


class Failure(Protocol):
    """What the agent knows of a process that failed."""

    local_rank: int
    exitcode: int


def _status(failures: Iterable[Failure], count: int) -> int:
    """The exit status, from the failed processes; the cause is the first that the agent saw."""
    statuses = {failure.local_rank: failure.exitcode for failure in failures}
    if USER_ERROR in statuses.values():
        return USER_ERROR
    for rank, status in statuses.items():
        if status < 0 and status != -signal.SIGTERM:  # which the agent sends to the others
            name = signal.Signals(-status).name
            raise PlumblineError(
                f"process {rank} of {count} was ended by signal {-status} ({name}), and so the "
                "others were too. Run again: training goes on from its last checkpoint."
            )
    if 1 in statuses.values():
        return 1
    rank, status = next(iter(statuses.items()))
    raise PlumblineError(
        f"process {rank} of {count} ended with status {status}, and so the others were ended too. "
        "Run again: training goes on from its last checkpoint."
    )
