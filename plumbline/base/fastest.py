"""Which of several ways to do the same work is the fastest on this processor, measured once.

The times are kept in the user's cache folder, in one file for each piece of work, processor and
build. The first process to finish writes it, and all later ones read it, so that they decide alike.
Where the folder cannot be written, each process measures for itself.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from plumbline.base.json_text import read_json

MARGIN = 1.1
"""A way has to be so many times as fast as one that is preferred to it."""
ROUNDS = 7

_measured: dict[str, dict[str, float]] = {}

Times = Mapping[str, float]
"""Name of a way to its milliseconds."""


def preferred(times: Times, order: Sequence[str]) -> str:
    """The first of `order` that is not slower than the fastest by more than `MARGIN`.

    >>> preferred({"narrow": 1.0, "wide": 1.05}, ["wide", "narrow"])
    'wide'
    >>> preferred({"narrow": 1.0, "wide": 1.2}, ["wide", "narrow"])
    'narrow'
    """
    limit = MARGIN * min(times[name] for name in order)
    return next(name for name in order if times[name] <= limit)


def times_of(
    work: str,
    build: Mapping[str, Any],
    ways: Sequence[str],
    prepare: Callable[[str], Callable[[], object]],
    clock: Callable[[], float] = time.thread_time,
) -> Times:
    """The milliseconds of each way: as this process has them, or the cache, or measured now.

    Parameters
    ----------
    work
        What is done: letters, digits and dashes.
    build
        Whatever changes the times besides the processor, such as the version of a library.
    prepare
        Gives the call that does the work in this way; called only to measure.
    clock
        The calling thread's CPU time, for work of one thread; `time.process_time` for work of more.
        Both leave out the time in which other processes have the core.
    """
    where = {"work": work, "ways": list(ways), "processor": processor(), "build": dict(build)}
    key = hashlib.sha256(json.dumps(where, sort_keys=True).encode()).hexdigest()[:16]
    if key not in _measured:
        folder = cache_folder()
        file = None if folder is None else folder / f"{work}-{key}.json"
        times = None if file is None else _read(file, where)
        if times is None:
            times = measured({way: prepare(way) for way in ways}, clock)
            if file is not None:
                times = _write(file, where, times)
        _measured[key] = times
    return _measured[key]


def measured(
    calls: Mapping[str, Callable[[], object]], clock: Callable[[], float]
) -> dict[str, float]:
    """The fewest milliseconds of each call in some rounds, in which they take turns."""
    for call in calls.values():
        call()
    fewest = dict.fromkeys(calls, math.inf)
    for _ in range(ROUNDS):
        for name, call in calls.items():
            start = clock()
            call()
            fewest[name] = min(fewest[name], 1000 * (clock() - start))
    return fewest


@cache
def processor() -> Mapping[str, Any]:
    """Its name, its flags by Linux' names, and the number of cores that this process may use."""
    return {
        "model": _cpuinfo("model name") or platform.machine(),
        "flags": sorted(_cpuinfo("flags").split()),
        "cores": len(os.sched_getaffinity(0)),
    }


def cache_folder() -> Path | None:
    """`plumbline` in XDG_CACHE_HOME or ~/.cache; None for a user without a home.

    https://specifications.freedesktop.org/basedir-spec/latest/
    """
    given = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if given.is_absolute():
        return given / "plumbline"
    try:
        return Path.home() / ".cache" / "plumbline"
    except RuntimeError:
        return None


def _read(file: Path, where: Mapping[str, Any]) -> dict[str, float] | None:
    """None if the file is missing, damaged, or of something else."""
    try:
        content = read_json(file)
        if any(content[name] != value for name, value in where.items()):
            return None
        times = {way: float(content["milliseconds"][way]) for way in where["ways"]}
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return times if all(0 < ms < math.inf for ms in times.values()) else None


def _write(file: Path, where: Mapping[str, Any], times: dict[str, float]) -> dict[str, float]:
    """Keep the times, unless another process was first; returns the times that are kept."""
    partial = file.with_name(f"{file.name}.{os.getpid()}.partial")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps({**where, "milliseconds": times}), encoding="utf-8")
        try:
            os.link(partial, file)
        except FileExistsError:
            first = _read(file, where)
            if first is not None:
                return first
            partial.replace(file)
        except OSError:  # a file system without links
            partial.replace(file)
    except OSError:
        pass
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)
    return times


def _cpuinfo(key: str) -> str:
    """The first value of this key in /proc/cpuinfo; empty if absent."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(key)), "")
