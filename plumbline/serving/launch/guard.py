"""Run a server that leaves nothing behind: `guard.py OWNER REGIONS FOLDERS LOCKS PROGRAM …`.

The launcher runs this as a script between itself and Triton. Whichever of the two ends first, the
guard ends the rest of the server's process group, and removes its shared memory. If the launcher
ended, it removes the launcher's temporary folders too. It exits as the program did, with the same
signal or status, and passes SIGTERM, SIGINT and SIGHUP on. SIGQUIT kills the server at once.

The program's threads get a large stack. The wheel's Triton, 2.51, puts 16 bytes on it for each
chunk of an HTTP body (CVE-2025-23310, fixed in 2.59) and a frame for each level of its JSON: with
the usual 8 MiB, one request of 1 MB crashes the server. Unused stack costs no memory.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import select
import shutil
import signal
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36

STACK_BYTES = 2**30
STOP_SECONDS = 8.0
"""After a signal to stop, the server has this time until it is killed."""
_REAP_SECONDS = 5.0

_PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
_KILLS = signal.SIGQUIT


def main(owner: int, regions: str, folders: list[str], locks: list[int], command: list[str]) -> int:
    """Returns the program's status, negative after a signal; 0 if the owner ended first.

    Parameters
    ----------
    owner
        The launcher's process.
    regions
        Path prefix of the server's shared memory.
    folders
        The launcher's temporary folders.
    locks
        Open lock files of the regions and folders, which stay locked as long as the guard runs.
    command
        The program and its arguments.
    """
    for lock in locks:
        os.set_inheritable(lock, False)
    owner_gone = _open_parent(owner)
    _prctl(PR_SET_CHILD_SUBREAPER, 1)
    woken, wakes = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wakes)
    for sign in (*_PASSED_ON, _KILLS):
        signal.signal(sign, lambda *_: None)
    status = None
    if owner_gone is not None:
        server = _start(command)
        status = _watch(server, owner_gone, woken)
        _kill_the_rest(server)
    if owner_gone is None or status is None or _ended(owner_gone):
        _remove(regions, spare=())
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
        return 0
    _remove(regions, spare={os.fstat(lock).st_ino for lock in locks})
    return status


def _open_parent(process: int) -> int | None:
    """A descriptor that shows the parent's end; None if it has ended already."""
    try:
        descriptor = os.pidfd_open(process)
    except ProcessLookupError:
        return None
    return descriptor if os.getppid() == process else None


def _start(command: list[str]) -> int:
    guard = os.getpid()
    server = os.fork()
    if server:
        return server
    for sign in (*_PASSED_ON, _KILLS):
        signal.signal(sign, signal.SIG_DFL)
    signal.set_wakeup_fd(-1)
    os.setpgid(0, 0)
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != guard:  # it ended before prctl
        os._exit(1)
    _, largest = resource.getrlimit(resource.RLIMIT_STACK)
    stack = STACK_BYTES if largest == resource.RLIM_INFINITY else min(STACK_BYTES, largest)
    resource.setrlimit(resource.RLIMIT_STACK, (stack, largest))
    try:
        os.execv(command[0], command)
    except OSError as error:
        os.write(2, f"error: {command[0]}: cannot be run ({error.strerror}).\n".encode())
        os._exit(127)


def _watch(server: int, owner_gone: int, woken: int) -> int | None:
    """Wait for the server's end, and return its status; None if the owner ended first."""
    server_gone = os.pidfd_open(server)
    until = None
    poll = select.poll()
    for descriptor in (server_gone, owner_gone, woken):
        poll.register(descriptor, select.POLLIN)
    owner_lives = True
    while not _ended(server_gone):
        left = None if until is None else max(0.0, until - time.monotonic()) * 1000
        ready = {descriptor for descriptor, _ in poll.poll(left)}
        signals: Iterable[int] = os.read(woken, 64) if woken in ready else ()
        if owner_gone in ready:
            poll.unregister(owner_gone)
            owner_lives, signals = False, (*signals, signal.SIGTERM)
        for sign in signals:
            if sign == _KILLS:
                until = 0.0
            elif sign in _PASSED_ON:
                os.kill(server, sign)
                until = until or time.monotonic() + STOP_SECONDS
        if until is not None and time.monotonic() >= until:
            os.killpg(server, signal.SIGKILL)
            until = time.monotonic() + STOP_SECONDS
    _, status = os.waitpid(server, 0)
    return os.waitstatus_to_exitcode(status) if owner_lives else None


def _kill_the_rest(server: int) -> None:
    """Kill what is left of the server's group, and what it left to this process, its reaper."""
    until = time.monotonic() + _REAP_SECONDS
    children = Path(f"/proc/self/task/{os.getpid()}/children")
    while time.monotonic() < until:
        with suppress(ProcessLookupError):
            os.killpg(server, signal.SIGKILL)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        left = [int(child) for child in children.read_text(encoding="ascii").split()]
        if not left:
            return
        for child in left:
            os.kill(child, signal.SIGKILL)
        time.sleep(0.01)


def _remove(regions: str, spare: Iterable[int]) -> None:
    """Remove the files whose path begins so, except those with the inodes to spare."""
    prefix = Path(regions)
    for file in prefix.parent.glob(f"{prefix.name}*"):
        with suppress(OSError):
            if file.stat().st_ino not in spare:
                file.unlink()


def _ended(process: int) -> bool:
    return bool(select.select([process], [], [], 0)[0])


def _prctl(option: int, value: int) -> None:
    ctypes.CDLL(None, use_errno=True).prctl(option, value)


def _exit_as(status: int) -> None:
    """End this process as the server ended."""
    if status >= 0:
        sys.exit(status)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # the server wrote its own
    if -status not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(-status, signal.SIG_DFL)
    os.kill(os.getpid(), -status)


if __name__ == "__main__":
    given_owner, given_regions, given_folders, given_locks = sys.argv[1:5]
    _exit_as(
        main(
            int(given_owner),
            given_regions,
            json.loads(given_folders),
            json.loads(given_locks),
            sys.argv[5:],
        )
    )
