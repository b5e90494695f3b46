"""What libraries log and warn of in a worker of a local Dask cluster: into the run's file.

Dask imports this module in each worker before it takes a task, and calls the two functions. It must
import neither Dask nor Merlin, whose imports warn.
"""

from __future__ import annotations

import logging
import os
from contextlib import ExitStack
from pathlib import Path

from plumbline.base.library_log import library_log

VARIABLE = "PLUMBLINE_LIBRARY_LOG"
"""The environment variable with the name of the file."""

_open = ExitStack()


def dask_setup(worker: object) -> None:
    """Sends log records and warnings to the file, and to standard error no more."""
    _open.enter_context(library_log(Path(os.environ[VARIABLE])))
    logging.getLogger("distributed").handlers.clear()
    logging.getLogger("distributed").propagate = True


def dask_teardown(worker: object) -> None:
    """Closes the file."""
    _open.close()
