"""Hashes files beside the work that reads them, to record the hashes or to check them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from plumbline.base.files import FileErrors, file_sha256, require_sha256

Identity = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class _Check:
    """A file as it was when its check was asked for."""

    file: Path
    sha256: str
    errors: FileErrors
    identity: Identity
    hashed: Future[None]

    @property
    def size(self) -> int:
        return self.identity[2]

    def require(self) -> None:
        """Raises an error of `errors` if the file has another content, now or meanwhile."""
        self.hashed.result()
        if _identity(self.file, self.errors) != self.identity:
            require_sha256(self.file, self.sha256, self.errors)


class FileChecks:
    """Hashes files in one thread while a block reads them; the block ends with the checks' results.

    A file that was written to during the block is hashed a second time at its end. If the block
    raises and a file has changed, the file's error is raised, since it is the cause.
    """

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, "file check")
        self._checks: dict[Path, _Check] = {}

    def add(self, file: Path, sha256: str, errors: FileErrors) -> None:
        """Check the file, once; raises `errors.missing` at once."""
        if file not in self._checks:
            identity = _identity(file, errors)
            hashed = self._pool.submit(require_sha256, file, sha256, errors)
            self._checks[file] = _Check(file, sha256, errors, identity, hashed)

    def __enter__(self) -> FileChecks:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if kind is None or issubclass(kind, Exception):
                self._require()
        finally:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def _require(self) -> None:
        from plumbline.base.console import hashing  # imports rich, which the served models lack

        checks = self._checks.values()
        left = [0 if check.hashed.done() else check.size for check in checks]
        with hashing(sum(left)) as progress:
            for check, size in zip(checks, left, strict=True):
                check.require()
                progress(size)


class ListedChecks(FileChecks):
    """Checks that are listed for other processes to make: see `plumbline.spark.checks`."""

    def __init__(self) -> None:
        super().__init__()
        self.listed: dict[Path, tuple[str, FileErrors]] = {}

    def add(self, file: Path, sha256: str, errors: FileErrors) -> None:
        self.listed.setdefault(file, (sha256, errors))


def _identity(file: Path, errors: FileErrors) -> Identity:
    """What changes whenever the file is replaced or written to."""
    try:
        found = file.stat()
    except (FileNotFoundError, NotADirectoryError):
        raise errors.missing(str(file)) from None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


@contextmanager
def hashed_beside(files: Iterable[Path]) -> Iterator[dict[Path, str]]:
    """Hash files in one thread while a block runs; at its end the dictionary has their SHA-256.

    If the block raises, the files that wait are not hashed.
    """
    pool, found = ThreadPoolExecutor(1, "file hash"), dict[Path, str]()
    try:
        hashed = {file: pool.submit(file_sha256, file) for file in files}
        yield found
        found.update({file: future.result() for file, future in hashed.items()})
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
