"""Atomic writes, and reads that are checked against a SHA-256.

A reader of a file sees the old content or the new one, never a part.
"""

from __future__ import annotations

import errno
import hashlib
import json
import mmap
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from plumbline.base.errors import MachineError
from plumbline.base.verified_files import is_verified, note_verified

_MADV_POPULATE_READ = 22

SMALL_BYTES = 16 << 20
"""More than any configuration, graph or secret has; a device such as /dev/zero has no end."""
HASH_CHUNK_BYTES = 1 << 20
"""Bytes; a signal is handled between two chunks."""


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
    """Raises MachineError if there is something else in the file's place, such as a device."""
    if os.path.lexists(file) and not file.is_file():
        raise MachineError(f"{file}: wanted a file to write, found something else. Name another.")
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(file.name + ".partial")
    try:
        with partial.open("wb") as stream:
            stream.write(content)
        flush(partial)
        partial.replace(file)
    except Exception:
        partial.unlink(missing_ok=True)
        raise
    flush(file.parent)


def flush(path: Path) -> None:
    """Have a file's content, or the names in a folder, on the disk before this returns."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # a file system without folders' flush
            raise
    finally:
        os.close(descriptor)


def remove(path: Path) -> None:
    """Remove a file, a folder with its content, or a link but not what it leads to."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    elif os.path.lexists(path):
        path.unlink()


def read_small(file: Path) -> bytes:
    """The content of a file that people write. Raises OSError (EFBIG) if it has no end near by."""
    with file.open("rb") as stream:
        content = stream.read(SMALL_BYTES + 1)
    if len(content) > SMALL_BYTES:
        raise OSError(errno.EFBIG, f"it has more than {SMALL_BYTES:,} bytes", str(file))
    return content


def open_to_read(file: Path) -> BinaryIO:
    """Open a file whose name may have any characters, such as the name of a column.

    The path is passed in UTF-8: the Python that Triton embeds has no locale and encodes file names
    in ASCII.
    """
    return open(str(file).encode("utf-8", "surrogateescape"), "rb")  # noqa: PTH123


def require_sha256(file: Path, wanted: str, errors: FileErrors) -> None:
    """Raises `errors.missing` or `errors.damaged` if the file does not have the hash `wanted`.

    A file that an earlier process of the same server verified is not read (`verified_files`).
    """
    try:
        with open_to_read(file) as stream:
            if is_verified(stream.fileno(), wanted):
                os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_WILLNEED)
                return
            got = _sha256(stream)
            if got == wanted:
                note_verified(stream.fileno(), wanted)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        raise errors.missing(str(file)) from None
    if got != wanted:
        raise errors.damaged(str(file), wanted, got)


def map_verified(file: Path, wanted: str, errors: FileErrors) -> mmap.mmap:
    """Map the file for random access, after a check of its hash.

    The hash is taken over the mapping, so the bytes that were hashed are the bytes that are used,
    and every page is in memory before the first look-up: in large pages, where the file system has
    them. Processes share the pages. Look-ups count as uses of a page, so that the system does not
    take it back first, as it would after `MADV_RANDOM`. A file that an earlier process of the same
    server verified is only brought into memory (`verified_files`).

    Raises
    ------
    ValueError
        The file is empty, so it cannot be mapped.
    """
    try:
        with open_to_read(file) as stream:
            mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
            with suppress(OSError):  # a system without large pages
                mapped.madvise(mmap.MADV_HUGEPAGE)
            if is_verified(stream.fileno(), wanted) and _is_populated(mapped):
                return mapped
            mapped.madvise(mmap.MADV_SEQUENTIAL)
            got = _sha256(mapped)
            if got != wanted:
                raise errors.damaged(str(file), wanted, got)
            note_verified(stream.fileno(), wanted)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        raise errors.missing(str(file)) from None
    mapped.seek(0)
    mapped.madvise(mmap.MADV_NORMAL)
    return mapped


def _is_populated(mapped: mmap.mmap) -> bool:
    """Bring all pages into memory; False if the system cannot."""
    try:
        mapped.madvise(_MADV_POPULATE_READ)
    except OSError:  # Linux before 5.14
        return False
    return True


def file_sha256(file: Path) -> str:
    with open_to_read(file) as stream:
        return _sha256(stream)


def json_sha256(value: Any) -> str:
    """Hash of the canonical JSON form: sorted keys, no white space."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def _sha256(content: BinaryIO | mmap.mmap) -> str:
    digest = hashlib.sha256()
    while block := content.read(HASH_CHUNK_BYTES):
        digest.update(block)
    return digest.hexdigest()
