"""Where this process stands among several that torchrun started. Needs no torch."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

from plumbline.base.errors import PlumblineError


@dataclass(frozen=True, slots=True)
class Place:
    """`rank` is this process' number from 0, of `count` in all; the local ones are those of its
    machine."""

    rank: int
    count: int
    local_rank: int
    local_count: int


def place(environment: Mapping[str, str] = os.environ) -> Place | None:
    """From the variables that torchrun sets; None if there is only one process.

    Raises
    ------
    PlumblineError
        Some of the variables are missing, or no numbers.

    >>> place({"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2"})
    Place(rank=1, count=2, local_rank=1, local_count=2)
    """
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    given = [environment.get(name, "") for name in names]
    if not all(given[:2]) or given[1] == "1":
        return None
    if not all(value.isdecimal() for value in given):
        found = ", ".join(f"{name}={value}" for name, value in zip(names, given, strict=True))
        raise PlumblineError(
            f"wanted the variables {', '.join(names)} as torchrun sets them, got {found}. Start "
            "the processes with torchrun or --nproc, or unset WORLD_SIZE."
        )
    return Place(*map(int, given))
