"""The objects below a folder of a bucket, by their names relative to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from plumbline.base.stores import Bucket

_AT_A_TIME = 8
"""The number of files that are written at a time."""


@dataclass(frozen=True, slots=True)
class RemoteFiles:
    """Every method raises StoreError if the store cannot be reached or denies access."""

    bucket: Bucket
    root: str

    def url(self, name: str) -> str:
        return self.bucket.url_of(self._key(name))

    def get(self, name: str) -> bytes | None:
        """The content of an object; None if there is none."""
        return self.bucket.read(self._key(name))

    def put(self, name: str, content: bytes) -> None:
        """Write an object; a reader sees the old one or the new one."""
        self.bucket.write(self._key(name), content)

    def put_files(self, files: Mapping[str, Path]) -> None:
        """Write objects with the content of local files."""
        with ThreadPoolExecutor(_AT_A_TIME) as pool:
            for _ in pool.map(self.bucket.write, map(self._key, files), files.values()):
                pass

    def create(self, name: str, content: bytes) -> bool:
        """Write an object unless there is one; of two writers, one succeeds."""
        return self.bucket.create(self._key(name), content)

    def remove(self, names: Iterable[str]) -> None:
        """Remove objects; those that are not there are not missed."""
        self.bucket.remove(map(self._key, names))

    def below(self, folder: str) -> list[str]:
        """The names of the objects below a folder."""
        found = self.bucket.find(self._key(folder))
        start = len(self._key(""))
        return [one.key[start:] for one in found]

    def _key(self, name: str) -> str:
        return f"{self.root}/{name}" if self.root else name
