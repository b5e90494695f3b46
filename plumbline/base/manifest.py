"""A stage's manifest: its inputs and outputs. Written last: a stage that has one is complete."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from plumbline.base.errors import StageError
from plumbline.base.file_checks import FileChecks
from plumbline.base.files import file_sha256, flush, json_sha256
from plumbline.base.read_ahead import THREADS
from plumbline.base.sealed_json import read_sealed, write_sealed

FORMAT_VERSION = 2
"""2: with the hash of its own content."""
MANIFEST_FILE = "manifest.json"
HASH_SUFFIX = "_sha256"


@dataclass(frozen=True, slots=True)
class Manifest:
    """The record of one finished stage."""

    stage: str
    settings: dict[str, Any]
    """The settings that the stage depends on."""
    inputs: dict[str, str]
    """Stage name to the hash of the manifest that was read."""
    schema: list[dict[str, Any]]
    """Output columns: name, dtype, and cardinality for ids."""
    rows: dict[str, int]
    """Split to number of rows."""
    files: dict[str, str]
    """Path inside the stage's folder to SHA-256."""
    versions: dict[str, str]
    """Package to version."""
    seconds: float
    facts: dict[str, Any] = field(default_factory=dict)
    """Other results of the stage: rates, metrics, counts."""
    format_version: int = FORMAT_VERSION

    @property
    def hash(self) -> str:
        """Hash of settings, inputs and outputs, without `seconds`, `versions` and `facts`."""
        content = asdict(self)
        for volatile in ("seconds", "versions", "facts"):
            del content[volatile]
        return json_sha256(content)

    def write(self, folder: Path) -> None:
        write_sealed(folder / MANIFEST_FILE, asdict(self))

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Raises StageError if the stage is not complete or its manifest is not readable."""
        file = folder / MANIFEST_FILE
        if not os.path.lexists(file):
            raise StageError(f"{file}: missing, so the stage is not complete. Run it first.")
        try:
            content = read_sealed(file, FORMAT_VERSION)
            if content.keys() != {one.name for one in fields(cls)}:
                raise ValueError(f"found the keys {', '.join(content)}")
            return cls(**content)
        except ValueError as error:
            raise StageError(
                f"{file}: not a stage manifest: {error}. Run the stage again with --force."
            ) from None

    def verify(self, folder: Path) -> None:
        """Raises StageError for a file of the stage that is missing, has changed or was added."""
        with FileChecks() as checks:
            self.check(folder, checks)

    def check(self, folder: Path, checks: FileChecks, name: str = "") -> None:
        """Let `checks` hash a file or folder of the stage, or all of it.

        Raises
        ------
        StageError
            A file is missing, or there is one that the stage did not write. `checks` raises it for
            a file that has changed.
        """
        errors = _OutputErrors(self.stage)
        wanted = [file for file in self.files if not name or _is_in(name, file)]
        if name and not wanted:
            raise errors.missing(str(folder / name))
        for file in wanted:
            checks.add(folder / file, self.files[file], errors)
        own = {*self.files, MANIFEST_FILE}
        for found in files_in(folder / name):
            if found.relative_to(folder).as_posix() not in own:
                raise errors.added(str(found))


def _is_in(name: str, file: str) -> bool:
    return file == name or file.startswith(f"{name}/")


@dataclass(frozen=True, slots=True)
class _OutputErrors:
    """The errors of the files that a stage wrote."""

    stage: str

    def missing(self, file: str) -> StageError:
        return StageError(f"{file}: missing. Run stage {self.stage!r} again with --force.")

    def damaged(self, file: str, wanted: str, got: str) -> StageError:
        return StageError(
            f"{file}: wanted SHA-256 {wanted[:12]}…, found {got[:12]}…: changed after stage "
            f"{self.stage!r} wrote it. Run it again with --force."
        )

    def added(self, file: str) -> StageError:
        return StageError(
            f"{file}: not a file that stage {self.stage!r} wrote. Remove it, or run the stage "
            "again with --force."
        )


def hash_files(folder: Path, files: Iterable[Path]) -> dict[str, str]:
    """Path relative to `folder`, in POSIX form, to SHA-256, sorted by path."""
    found = {file.relative_to(folder).as_posix(): file_sha256(file) for file in files}
    return dict(sorted(found.items()))


def record_files(folder: Path, left_out: Collection[str] = ()) -> dict[str, str]:
    """`hash_files` of all files in a folder, which are then on the disk, and so are the folders.

    `left_out` are entries of the folder that do not belong to it.
    """
    from plumbline.base.console import hashing  # imports rich, which the served models lack

    files = [
        file for entry in folder.iterdir() if entry.name not in left_out for file in files_in(entry)
    ]
    sizes = [file.lstat().st_size for file in files]
    with ThreadPoolExecutor(THREADS) as pool, hashing(sum(sizes)) as progress:
        hashes = []
        for sha256, size in zip(pool.map(_flushed_sha256, files), sizes, strict=True):
            hashes.append(sha256)
            progress(size)
    for parent in {folder, folder.parent, *(file.parent for file in files)}:
        flush(parent)
    names = (file.relative_to(folder).as_posix() for file in files)
    return dict(sorted(zip(names, hashes, strict=True)))


def _flushed_sha256(file: Path) -> str:
    flush(file)
    return file_sha256(file)


def files_in(path: Path) -> Iterator[Path]:
    """The file itself, or the files in the folder and its subfolders."""
    inside = path.rglob("*") if path.is_dir() else [path]
    return (file for file in inside if not file.is_dir())


def package_versions(packages: Iterable[str]) -> dict[str, str]:
    """Package to version, for the packages that are installed."""
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def differences(wanted: Mapping[str, Any], got: Mapping[str, Any]) -> list[str]:
    """`key: was A, is B` for every key whose value differs, nested keys joined by dots.

    A key that ends in `_sha256` is reported as changed, without the hashes.

    >>> differences({"a": {"b": 1}, "c": 2}, {"a": {"b": 3}, "c": 2})
    ['a.b: was 1, is 3']
    >>> differences({"graph_sha256": "0a"}, {"graph_sha256": "1b"})
    ['the graph has changed']
    """
    found: list[str] = []
    for key in sorted(set(wanted) | set(got)):
        old, new = wanted.get(key), got.get(key)
        if isinstance(old, dict) and isinstance(new, dict):
            found += [f"{key}.{rest}" for rest in differences(old, new)]
        elif old != new and key.endswith(HASH_SUFFIX):
            found.append(f"the {key.removesuffix(HASH_SUFFIX)} has changed")
        elif old != new:
            found.append(f"{key}: was {json.dumps(old)}, is {json.dumps(new)}")
    return found
