"""Whether the folder for shared memory has room for the tensors of the models' processes."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

from plumbline.serving.contract.versions import ENTRY_FILE
from plumbline.serving.errors import ServerError
from plumbline.serving.launch.owned import REGIONS

_MIB = 2**20
_FIRST_REGION = _MIB
"""Bytes that the Python backend takes for each model process; it takes more for larger requests."""
_LITTLE = 64 * _MIB
"""Docker's default for a whole container, and less than a model with large requests may need."""
_CRASHES = (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT)
_ADVICE = "Give it more: shm_size in compose, --shm-size in Docker, a larger tmpfs elsewhere."


class SharedMemory:
    """Watches the free space while a server starts, because a failed start frees it again."""

    def __init__(self, folder: Path = REGIONS) -> None:
        self._folder = folder
        self._least = self._total = 0

    def require(self, repository: Path) -> None:
        """Raises ServerError if there is no room for the smallest start."""
        space = shutil.disk_usage(self._folder)
        self._least, self._total = space.free, space.total
        wanted = len(list(repository.glob(f"*/[0-9]*/{ENTRY_FILE}"))) * _FIRST_REGION
        if space.free < wanted:
            raise ServerError(
                f"{self._folder}: wanted {wanted / _MIB:.0f} MiB or more of shared memory for the "
                f"models' processes, {self._free}. {_ADVICE}"
            )

    def look(self) -> None:
        """Note the free space."""
        self._least = min(self._least, shutil.disk_usage(self._folder).free)

    def suspicion(self, status: int) -> str:
        """A sentence for a server that exited with this status; empty if there was enough room.

        Triton or a model process crashes if it cannot extend its shared memory, and logs nothing.
        """
        if -status not in _CRASHES or self._least >= _LITTLE:
            return ""
        return f" Perhaps {self._folder} is too small: {self._free}. {_ADVICE}"

    @property
    def _free(self) -> str:
        return f"{self._least / _MIB:.1f} of its {self._total / _MIB:.0f} MiB were free"
