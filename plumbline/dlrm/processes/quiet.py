"""Keep the terminal free of what libraries say of each other, in every process."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_LOGGERS = (
    "torchrec.distributed.planner.types",
    "torchrec.distributed.planner.storage_reservations",
    "torch.fx._symbolic_trace",
)
"""They warn of how TorchRec's own parts, and torch's, call each other."""


@contextmanager
def quiet() -> Iterator[None]:
    """Hide these loggers' warnings, and that TorchRec calls what torch will rename."""
    levels = [(logger, logger.level) for logger in map(logging.getLogger, _LOGGERS)]
    for logger, _ in levels:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)
            yield
    finally:
        for logger, level in levels:
            logger.setLevel(level)
