"""A complete stage, as later stages read it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from plumbline.base.file_checks import FileChecks
from plumbline.base.manifest import Manifest


@dataclass(frozen=True, slots=True)
class Finished:
    """A complete stage: its folder, its manifest, and the checks of the files that are read."""

    folder: Path
    manifest: Manifest
    checks: FileChecks

    @classmethod
    def read(cls, run_folder: Path, name: str, checks: FileChecks) -> Finished:
        """Raises StageError if the stage is not complete."""
        folder = run_folder / name
        return cls(folder, Manifest.read(folder), checks)

    def path(self, name: str) -> Path:
        """A file or folder of the stage, to read before `checks` end: they hash it meanwhile.

        Raises
        ------
        StageError
            A file is missing, or there is one that the stage did not write.
        """
        self.manifest.check(self.folder, self.checks, name)
        return self.folder / name


@contextmanager
def finished_stages(run_folder: Path, names: Iterable[str]) -> Iterator[dict[str, Finished]]:
    """Stages of a run, for a block that reads their files.

    Raises
    ------
    StageError
        One is not complete or, at the end, a file that was read is not what its stage wrote.
    """
    with FileChecks() as checks:
        yield {name: Finished.read(run_folder, name, checks) for name in names}
