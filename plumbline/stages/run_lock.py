"""One command at a time works in the folder of a run."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import shlex
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path

from plumbline.base.console import warn
from plumbline.base.errors import StageError
from plumbline.base.exit_status import machine_errors
from plumbline.base.file_names import is_utf8
from plumbline.base.json_text import read_json
from plumbline.base.manifest import MANIFEST_FILE
from plumbline.stages.run_all import STAGES

LOCK_FILE = "run.lock"
"""In the run's folder; it says which process has the lock. The lock ends with the process."""

_READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)
_WITHOUT_LOCKS = (errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EINVAL)


@contextmanager
def run_lock(folder: Path) -> Iterator[None]:
    """Hold the lock of a run's folder, which is made if need be, while the block runs.

    A folder that this process may not write to is not locked: what only reads it goes on, and what
    writes to it fails. A file system without locks gets a warning.

    Raises
    ------
    StageError
        Another process has the lock; the folder is something else, or one that no run has made.
    """
    with machine_errors(folder):
        descriptor = _locked(folder)
    try:
        yield
    finally:
        if descriptor is not None:
            os.close(descriptor)


def lock_holder(folder: Path) -> str | None:
    """The process that works in a run's folder; None if there is none. Takes no lock itself."""
    file = folder / LOCK_FILE
    try:
        inode = file.stat().st_ino
        locks = Path("/proc/locks").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    held = {line.split()[5].rpartition(":")[2] for line in locks if " FLOCK " in line}
    return _shown(file).rstrip(",") if str(inode) in held else None


def _locked(folder: Path) -> int | None:
    """The lock's open file; None if this process may not write it."""
    if os.path.lexists(folder) and not folder.is_dir():
        raise StageError(f"{folder}: wanted the folder of a run, found something else. Give --out.")
    if not is_utf8(folder):
        raise StageError(f"{folder}: wanted a name in UTF-8, found other bytes. Give --out.")
    folder.mkdir(parents=True, exist_ok=True)
    _require_own(folder)
    descriptor = _opened(folder / LOCK_FILE)
    if descriptor is not None:
        try:
            _lock(descriptor, folder)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, _holder().encode(), 0)
        except BaseException:
            os.close(descriptor)
            raise
    return descriptor


def _opened(file: Path) -> int | None:
    try:
        return os.open(file, os.O_RDWR | os.O_CREAT | os.O_NONBLOCK, 0o644)
    except OSError as error:
        if error.errno in _READ_ONLY:
            return None
        raise


def _lock(descriptor: int, folder: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise StageError(
            f"{folder}: {_shown(folder / LOCK_FILE)} works in this folder. Wait until it has "
            "ended, or run with another --out."
        ) from None
    except OSError as error:
        if error.errno not in _WITHOUT_LOCKS:
            raise
        warn(
            f"{folder}: this file system has no locks ({error.strerror}): let one command at a "
            "time work in it."
        )


def _holder() -> str:
    """The content of the lock's file."""
    held = {
        "pid": os.getpid(),
        "host": socket.gethostname(),
        "command": shlex.join(sys.argv),
        "since": datetime.now(timezone.utc).isoformat(timespec="seconds"),
    }
    return json.dumps(held) + "\n"


def _shown(file: Path) -> str:
    """The process that has the lock."""
    try:
        held = read_json(file)
        return (
            f"process {held['pid']} on {held['host']} ({held['command']}), "
            f"which began {held['since']},"
        )
    except (OSError, ValueError, KeyError, TypeError):  # it is being written
        return "another process"


def _require_own(folder: Path) -> None:
    """Raises StageError if a stage would empty a folder that no run has made."""
    if os.path.lexists(folder / LOCK_FILE):
        return
    for name in STAGES:
        stage = folder / name
        if stage.is_dir() and any(stage.iterdir()) and not os.path.lexists(stage / MANIFEST_FILE):
            raise StageError(
                f"{stage}: wanted no folder here, or one that a run has made, found other files. "
                "Move them away, or run with another --out."
            )
