"""Memory for embedding rows: whether it is there, before it is taken, and in large pages."""

from __future__ import annotations

from pathlib import Path

import psutil
import torch
from torch import Tensor

from dlrm.architecture import Architecture
from features.errors import ConfigError

STATE_BYTES = 4
"""Row-wise Adagrad keeps one float32 a row."""

LARGEST_NAMED = 5

CGROUP_FILES = (
    ("memory.max", "memory.current"),  # version 2
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),  # version 1
)


def require_memory(
    architecture: Architecture, element_bytes: int, available: int | None = None
) -> None:
    """Raise ConfigError where the tables and the optimizer's state exceed the available memory.

    Parameters
    ----------
    element_bytes
        Of one number of a row.
    available
        Bytes; None asks the machine.
    """
    row_bytes = architecture.embedding_dim * element_bytes + STATE_BYTES
    size_of = {
        name: rows * row_bytes
        for name, rows in zip(architecture.categorical, architecture.cardinalities, strict=True)
    }
    needed = sum(size_of.values())
    available = available_memory() if available is None else available
    if needed > available:
        largest = sorted(size_of.items(), key=lambda item: -item[1])[:LARGEST_NAMED]
        raise ConfigError.tables_too_large(needed, available, largest)


def available_memory(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Bytes that can be taken without swapping, within the limit of the process' control group."""
    available = int(psutil.virtual_memory().available)
    for limit_file, usage_file in CGROUP_FILES:
        try:
            limit = int((cgroup / limit_file).read_text())
            usage = int((cgroup / usage_file).read_text())
        except (OSError, ValueError):  # no such version, or "max": no limit
            continue
        available = min(available, max(0, limit - usage))
    return available


def empty_rows(shape: torch.Size, dtype: torch.dtype) -> Tensor:
    """Uninitialised memory on the CPU."""
    return torch.empty(shape, dtype=dtype)
