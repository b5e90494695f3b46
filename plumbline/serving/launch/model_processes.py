"""The processes in which a server runs its models, and the notice of their ends."""

from __future__ import annotations

import os
import select
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

from plumbline.serving.contract.versions import ENTRY_FILE


@dataclass(frozen=True, slots=True)
class Instance:
    """One instance of a version of a model; each has a process."""

    model: str
    version: str
    name: str


def instances_of(guard: int) -> dict[int, Instance]:
    """Process to instance, for the models' processes of the server under a guard."""
    found = {}
    for server in _children(guard):
        for process in _children(server):
            instance = _instance(process)
            if instance is not None:
                found[process] = instance
    return found


def processor_seconds(process: int) -> float:
    """Processor time of a process and of all below it, in seconds; 0 for one that has ended."""
    below = sum(processor_seconds(child) for child in _children(process))
    try:
        status = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return below
    user, system = status.rpartition(")")[2].split()[11:13]
    return below + (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")


class ProcessWatch:
    """Reports the ends of a server and of its models' processes.

    Parameters
    ----------
    server
        A process that ends with the server.
    instances
        Returns the processes that there are, as `instances_of` does.
    """

    def __init__(self, server: int, instances: Callable[[], Mapping[int, Instance]]) -> None:
        self._instances = instances
        self._watched: dict[int, tuple[int, Instance]] = {}
        """Descriptor to process."""
        self._poll = select.poll()
        self._descriptors = ExitStack()
        self._open(server)
        self._watch_new()

    def __enter__(self) -> ProcessWatch:
        return self

    def __exit__(self, *_: object) -> None:
        self._descriptors.close()

    def wait(self, seconds: float) -> set[Instance]:
        """Wait until a process ends, at most so many seconds.

        Returns the instances that have lost their process and have no other one: a server that
        loads a version again replaces it. A new process is watched from the next call on.
        """
        self._watch_new()
        ended = {descriptor for descriptor, _ in self._poll.poll(seconds * 1000)}
        lost = set()
        for descriptor in ended & self._watched.keys():
            self._poll.unregister(descriptor)
            lost.add(self._watched.pop(descriptor)[1])
        return lost - set(self._instances().values()) if lost else lost

    def _watch_new(self) -> None:
        known = {process for process, _ in self._watched.values()}
        for process, instance in self._instances().items():
            if process not in known:
                with suppress(ProcessLookupError):
                    self._watched[self._open(process)] = (process, instance)

    def _open(self, process: int) -> int:
        descriptor = os.pidfd_open(process)
        self._descriptors.callback(os.close, descriptor)
        self._poll.register(descriptor, select.POLLIN)
        return descriptor


def _children(process: int) -> set[int]:
    """The child processes that a process's threads started; none if it has ended."""
    found: set[int] = set()
    for listed in Path(f"/proc/{process}/task").glob("*/children"):
        with suppress(OSError):
            found |= set(map(int, listed.read_text(encoding="ascii").split()))
    return found


def _instance(process: int) -> Instance | None:
    """From the command line that the Python backend gives its processes; None for another one.

    It is `…/MODEL/VERSION/model.py REGION SIZE GROWTH SERVER BACKEND OFFSET INSTANCE …` after the
    program. A process that has ended has an empty one.
    """
    try:
        words = os.fsdecode(Path(f"/proc/{process}/cmdline").read_bytes()).split("\0")
    except OSError:
        return None
    if len(words) < 9 or Path(words[1]).name != ENTRY_FILE:
        return None
    version = Path(words[1]).parent
    return Instance(version.parent.name, version.name, words[8])
