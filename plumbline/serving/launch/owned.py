"""Shared memory and temporary folders of a server, and who owns them.

Each has a lock file, which the launcher and its guard hold (`flock`) until they end, however they
end. What nobody holds is left over: the next start removes it. A lock is held across containers
that share a folder, so nothing of a living server is removed.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
import select
import shutil
import signal
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from plumbline.serving.errors import ServerError

REGIONS = Path("/dev/shm")
"""The Python backend exchanges tensors with the models' processes in this folder."""
TEMPORARY = ("/tmp", "/var/tmp", "/dev/shm")

_LOCK = "lock"
_REGION = "plumbline_"
_FOLDER = "plumbline-"
_PREFIX = re.compile(f"{_REGION}[0-9a-f]{{16}}_")
"""The lock file of a prefix is there before its regions, and as long as they are in use."""
_KILL_SECONDS = 5.0


class OwnedRegions:
    """A path prefix for shared memory that no other server has. Its lock file has the prefix too.

    Raises ServerError if the folder for shared memory cannot be written.
    """

    def __init__(self) -> None:
        try:
            self.lock, file = _locked(REGIONS)
        except OSError as error:
            raise ServerError(
                f"{REGIONS}: wanted a folder for shared memory, but no file can be made in it "
                f"({error.strerror}). Mount one there that this user can write."
            ) from None
        self.prefix = f"{_REGION}{file.name.removeprefix(_REGION)}_"
        self._lock_file = file.replace(REGIONS / f"{self.prefix}{_LOCK}")

    @property
    def path_prefix(self) -> str:
        return str(REGIONS / self.prefix)

    def clear(self) -> None:
        """End the processes that still use the prefix, and remove their shared memory."""
        _clear(self.prefix, spare=self._lock_file)

    def close(self) -> None:
        """As `clear`, and give the prefix up."""
        self.clear()
        self._lock_file.unlink(missing_ok=True)
        os.close(self.lock)


class OwnedFolder:
    """A temporary folder. Raises ServerError if it cannot be made."""

    def __init__(self, purpose: str, parent: str | None = None) -> None:
        try:
            self.path = Path(tempfile.mkdtemp(prefix=f"{_FOLDER}{purpose}-", dir=parent))
            self.lock, file = _locked(self.path)
        except OSError as error:
            raise ServerError(
                f"No temporary folder can be made ({error.strerror}). Set TMPDIR to a folder that "
                "this user can write."
            ) from None
        self._lock_file = file.replace(self.path / _LOCK)

    def close(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self.lock)

    def keep(self) -> None:
        """Give the folder up without removing it; an empty one is removed."""
        self._lock_file.unlink(missing_ok=True)
        with suppress(OSError):
            self.path.rmdir()
        os.close(self.lock)


def sweep() -> None:
    """Remove what servers left behind whose launcher and guard were both killed."""
    for lock_file in _left(REGIONS.glob(f"{_REGION}*_{_LOCK}")):
        _clear(lock_file.name.removesuffix(_LOCK))
    for region in REGIONS.glob(f"{_REGION}*"):
        prefix = _PREFIX.match(region.name)
        if prefix is not None and not (REGIONS / f"{prefix[0]}{_LOCK}").exists():
            with suppress(OSError):  # made by a process that died later than its lock file
                region.unlink()
    for parent in temporary_parents():
        for lock_file in _left(Path(parent).glob(f"{_FOLDER}*/{_LOCK}")):
            shutil.rmtree(lock_file.parent, ignore_errors=True)


def temporary_parents() -> list[str]:
    """Where temporary folders may be, the usual place first."""
    return list(dict.fromkeys((tempfile.gettempdir(), *TEMPORARY)))


def _locked(folder: Path) -> tuple[int, Path]:
    """A new file and its open descriptor. Rename it: then the lock file is never without a lock."""
    file = folder / f"{_REGION}{secrets.token_hex(8)}"
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor, file


def _left(lock_files: Iterable[Path]) -> Iterator[Path]:
    """Those that nobody holds; each is locked here until the next one."""
    for lock_file in lock_files:
        with suppress(OSError):  # another user's, or removed meanwhile
            descriptor = os.open(lock_file, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                yield lock_file
            finally:
                os.close(descriptor)


def _clear(prefix: str, spare: Path | None = None) -> None:
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if prefix.encode() in (process / "cmdline").read_bytes():
                _kill(int(process.name))
    for file in REGIONS.glob(f"{prefix}*"):
        if file != spare:
            with suppress(OSError):
                file.unlink()


def _kill(process: int) -> None:
    """And wait until it has ended: until then it has its ports."""
    descriptor = os.pidfd_open(process)
    try:
        signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        select.select([descriptor], [], [], _KILL_SECONDS)
    finally:
        os.close(descriptor)
