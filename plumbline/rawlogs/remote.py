"""Raw logs in an object store: listed, then copied to this machine once.

A log is read several times, and at any place, so it is read from a copy. The copy has the names of
the store, with their `key=value` folders.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any

from plumbline.base.errors import DataError
from plumbline.base.printable import one_line
from plumbline.base.stores import Bucket, StoredObject, StoreError, local_path, relative_parts
from plumbline.rawlogs.partitions import partition_root
from plumbline.rawlogs.sources import is_marker, natural_path
from plumbline.settings import Config, Log

_AT_A_TIME = 8
"""The number of objects that are copied at a time."""
_MARKS = "*?["
"""The characters that make a pattern."""


@dataclass(frozen=True, slots=True)
class RemoteLog:
    """The objects of a log in reading order, then those of its side tables."""

    bucket: Bucket
    logs: tuple[StoredObject, ...]
    tables: tuple[StoredObject, ...]

    @classmethod
    def of(cls, config: Config, urls: Sequence[str]) -> RemoteLog:
        """List what URLs name: objects, patterns such as `s3://bucket/logs/*.csv`, or folders.

        A folder gives what `sources.resolve_files` finds in a local one.

        Raises
        ------
        StoreError
            See `plumbline.base.stores`.
        DataError
            The URLs are of several buckets, or nothing is there, or all of it is empty.
        """
        named = [Bucket.of(url) for url in urls]
        bucket = named[0][0]
        if any(other.url != bucket.url for other, _ in named):
            raise DataError("--data: wanted URLs of one bucket, got several. Give those of one.")
        found = [one for _, key in named for one in _listed(bucket, config.log, key)]
        if not any(one.bytes for one in found):
            raise DataError(f"{one_line(urls[0])}: wanted a log, found nothing but empty files.")
        folder = PurePosixPath(partition_root(Path(found[0].key)).as_posix())
        tables = [_head(bucket, str(folder / table.file)) for table in config.tables.values()]
        return cls(bucket, tuple(found), tuple(tables))

    @property
    def fingerprints(self) -> list[dict[str, Any]]:
        """What the settings of a stage have of each object."""
        return [
            {"url": self.bucket.url_of(one.key), "bytes": one.bytes, "version": one.version}
            for one in (*self.logs, *self.tables)
        ]

    @property
    def bytes(self) -> int:
        return sum(one.bytes for one in (*self.logs, *self.tables))

    def copy(self, folder: Path, progress: Callable[[int], None]) -> tuple[Path, ...]:
        """Copy all objects below a folder; returns the files of the log, in reading order.

        `progress` is called with the number of bytes of each object that is copied.

        Raises
        ------
        StoreError
            See `plumbline.base.stores`.
        DataError
            An object has changed since it was listed.
        """
        targets = {one: folder / relative_parts(one.key) for one in (*self.logs, *self.tables)}
        for target in targets.values():
            target.parent.mkdir(parents=True, exist_ok=True)
        with ThreadPoolExecutor(_AT_A_TIME) as pool:
            for copied in pool.map(self._copy, targets, targets.values()):
                progress(copied)
        return tuple(targets[one] for one in self.logs)

    def _copy(self, wanted: StoredObject, target: Path) -> int:
        copied = self.bucket.copy(wanted.key, target)
        if copied != wanted or target.stat().st_size != wanted.bytes:
            raise DataError(
                f"{self.bucket.url_of(wanted.key)}: the object has changed while it was copied. "
                "Run again when the log is complete."
            )
        return wanted.bytes


def _listed(bucket: Bucket, log: Log, key: str) -> list[StoredObject]:
    """The log files that a key names, in reading order."""
    parts = key.split("/")
    marked = next((n for n, part in enumerate(parts) if any(m in part for m in _MARKS)), None)
    if marked is not None:
        below = bucket.find("/".join(parts[:marked]))
        found = _in_order((one for one in below if _matches(one.key.split("/"), parts)), "")
        if not found:
            raise DataError(
                f"{bucket.url_of(key)}: wanted a pattern of log files, but none matches it."
            )
        return found
    one = bucket.head(key) if key else None
    if one is not None:
        return [one]
    if log.files:
        return [_head(bucket, f"{key}/{name}".lstrip("/")) for name in log.files]
    found = bucket.find(key)
    if not found:
        raise StoreError(f"{bucket.url_of(key)}: there is no such object, and no folder with any.")
    found = _in_order(found, key)
    if not found:
        raise DataError(
            f"{bucket.url_of(key)}: wanted a folder of log files, but it holds no file."
        )
    return found


def _head(bucket: Bucket, key: str) -> StoredObject:
    found = bucket.head(key)
    if found is None:
        raise StoreError(f"{bucket.url_of(key)}: there is no such object.")
    return found


def _matches(names: Sequence[str], patterns: Sequence[str]) -> bool:
    """Whether each name matches its pattern; a pattern does not match a slash."""
    pairs = zip(names, patterns, strict=False)
    return len(names) == len(patterns) and all(fnmatchcase(*pair) for pair in pairs)


def _in_order(objects: Iterable[StoredObject], folder: str) -> list[StoredObject]:
    """The log files below a folder in natural order, without markers of other tools."""
    named = [(Path(one.key.removeprefix(folder).strip("/")), one) for one in objects]
    kept = [(name, one) for name, one in named if not any(map(is_marker, name.parts))]
    return [one for _, one in sorted(kept, key=lambda pair: natural_path(pair[0]))]


def split_data(data: Sequence[str]) -> tuple[tuple[Path, ...], tuple[str, ...]]:
    """The paths and the URLs among the values of --data; one of the two is empty.

    Raises
    ------
    StoreError
        A URL that Plumbline does not read.
    DataError
        There are both.
    """
    paths = [(text, local_path(text)) for text in data]
    local = tuple(path for _, path in paths if path is not None)
    remote = tuple(text for text, path in paths if path is None)
    if local and remote:
        raise DataError("--data: wanted files of this machine or URLs of a store, got both.")
    return local, remote
