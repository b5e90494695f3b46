"""A stage's manifest: its inputs and outputs. Written last: a stage that has one is complete."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from plumbline.base.errors import StageError
from plumbline.base.files import file_sha256, json_sha256, require_sha256, write_json

FORMAT_VERSION = 1
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
        write_json(folder / MANIFEST_FILE, asdict(self))

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Raises StageError if the stage is not complete or its manifest is not readable."""
        file = folder / MANIFEST_FILE
        if not file.is_file():
            raise StageError(f"{file}: missing, so the stage is not complete. Run it first.")
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            got = int(content["format_version"])
            if got <= FORMAT_VERSION:
                return cls(**content)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise StageError(
                f"{file}: not a stage manifest ({type(error).__name__} {error}). "
                "Run the stage again with --force."
            ) from None
        raise StageError(
            f"{file}: format version {got}, but this Plumbline reads {FORMAT_VERSION}. "
            "Upgrade Plumbline, or run the stage again with --force."
        )

    def verify(self, folder: Path) -> None:
        """Raises StageError with the name of the first file that is missing or has changed."""
        for name, wanted in self.files.items():
            require_sha256(folder / name, wanted, _OutputErrors(self.stage))


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


def hash_files(folder: Path, files: Iterable[Path]) -> dict[str, str]:
    """Path relative to `folder`, in POSIX form, to SHA-256, sorted by path."""
    found = {file.relative_to(folder).as_posix(): file_sha256(file) for file in files}
    return dict(sorted(found.items()))


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
