"""Large files whose hash was verified, so that a server that is started again need not read them.

A record is an empty file whose name has the hash and what the file system knows of the verified
file: device, inode, size, and times of change. Every write sets the time of change of the inode,
which no program can set back, so a record holds until the file is written again. The launcher
chooses the records' folder, which belongs to it alone, and names it in an environment variable.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from pathlib import Path

VARIABLE = "PLUMBLINE_VERIFIED"
"""Environment variable with the folder of the records. Without it, every file is read."""

_SETTLED_SECONDS = 2.0
"""A file that was changed since is not recorded: another change could have the same time."""


def is_verified(descriptor: int, sha256: str) -> bool:
    """Whether this open file was found to have the hash, and was not changed since."""
    record = _record(os.fstat(descriptor), sha256)
    return record is not None and record.exists()


def note_verified(descriptor: int, sha256: str) -> None:
    """Record that this open file has the hash."""
    found = os.fstat(descriptor)
    record = _record(found, sha256)
    if record is not None and time.time() - found.st_ctime > _SETTLED_SECONDS:
        with suppress(OSError):  # it is read again then
            record.touch()


def _record(found: os.stat_result, sha256: str) -> Path | None:
    folder = os.environ.get(VARIABLE)
    if not folder:
        return None
    identity = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)
    return Path(folder, "-".join([sha256, *map(str, identity)]))
