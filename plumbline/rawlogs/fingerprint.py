"""Detects a changed raw file: without reading it, or by its content."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from plumbline.base.errors import DataError
from plumbline.rawlogs.partitions import partition_folders
from plumbline.rawlogs.sources import require_readable


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """Name, size and modification time of a raw file."""

    file: str
    """The name, with the `key=value` folders above it, which are columns of its rows."""
    bytes: int
    modified_ns: int

    @classmethod
    def of(cls, file: Path) -> Fingerprint:
        """Raises DataError if the file cannot be read."""
        require_readable(file)
        found = file.stat()
        return cls(
            "/".join([*partition_folders(file), file.name]), found.st_size, found.st_mtime_ns
        )

    def require(self, file: Path) -> None:
        """Raises DataError if the file has changed or is another one."""
        found = Fingerprint.of(file)
        if found != self:
            raise DataError(
                f"{file}: wanted the file that stage ingest read ({self._shown()}), found another "
                f"({found._shown()}). Run again with --from ingest."
            )

    def _shown(self) -> str:
        moment = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(self.modified_ns // 10**9))
        return f"{self.file} of {self.bytes} bytes, changed {moment} UTC"


class ChangedContent:
    """The errors of a raw file whose content was checked; see `plumbline.base.files.FileErrors`."""

    @staticmethod
    def missing(file: str) -> DataError:
        return DataError(f"{file}: missing, but stage ingest has read it. Put it back.")

    @staticmethod
    def damaged(file: str, wanted: str, got: str) -> DataError:
        return DataError(
            f"{file}: wanted the file that stage ingest read (SHA-256 {wanted[:12]}…), found "
            f"another ({got[:12]}…). Run again with --from ingest."
        )
