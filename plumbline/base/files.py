"""Files that are written whole or not at all, and read only as they were written.

Writing is atomic: a reader sees the old content or the new one. Reading is held against a SHA-256.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import os
from pathlib import Path
from typing import Any, BinaryIO, Protocol

HASHED_AT_A_TIME = 1 << 20
"""Bytes; a signal waits for no more."""


class FileErrors(Protocol):
    """The errors of a missing and of a changed file; every `ArtifactError` class is one."""

    def missing(self, file: str) -> Exception: ...

    def damaged(self, file: str, wanted: str, got: str) -> Exception: ...


def write_json(file: Path, value: Any) -> None:
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_text(file, text)


def write_text(file: Path, text: str) -> None:
    write_bytes(file, text.encode())


def write_bytes(file: Path, content: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(file.name + ".partial")
    with partial.open("wb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(file)


def open_to_read(file: Path) -> BinaryIO:
    """Open a file that may be named after a column, in whatever letters.

    Its path goes to the system in UTF-8: the Python that Triton embeds knows no locale, and takes
    ASCII for the encoding of file names.
    """
    return open(str(file).encode("utf-8", "surrogateescape"), "rb")  # noqa: PTH123


def require_sha256(file: Path, wanted: str, errors: FileErrors) -> None:
    """Raises `errors.missing` or `errors.damaged` where the file is not the one that was hashed."""
    try:
        got = file_sha256(file)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        raise errors.missing(str(file)) from None
    if got != wanted:
        raise errors.damaged(str(file), wanted, got)


def map_verified(file: Path, wanted: str, errors: FileErrors) -> mmap.mmap:
    """The file, mapped, for look-ups at random.

    The hash is taken over the mapping: what was hashed is what is used, and the process has seen
    every page when it looks up the first row.

    Raises
    ------
    ValueError
        An empty file, which cannot be mapped.
    """
    try:
        with open_to_read(file) as stream:
            mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        raise errors.missing(str(file)) from None
    mapped.madvise(mmap.MADV_SEQUENTIAL)
    got = _sha256(mapped)
    if got != wanted:
        raise errors.damaged(str(file), wanted, got)
    mapped.seek(0)
    mapped.madvise(mmap.MADV_RANDOM)
    return mapped


def file_sha256(file: Path) -> str:
    with open_to_read(file) as stream:
        return _sha256(stream)


def json_sha256(value: Any) -> str:
    """Hash of the canonical JSON form: sorted keys, no white space."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _sha256(content: BinaryIO | mmap.mmap) -> str:
    digest = hashlib.sha256()
    while block := content.read(HASHED_AT_A_TIME):
        digest.update(block)
    return digest.hexdigest()
