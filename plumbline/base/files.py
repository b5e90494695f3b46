"""Write a file so that it is either whole or not there."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, BinaryIO


def write_json(file: Path, value: Any) -> None:
    """Atomic: a reader sees the old content or the new one."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_text(file, text)


def write_text(file: Path, text: str) -> None:
    """Atomic: a reader sees the old content or the new one."""
    write_bytes(file, text.encode())


def write_bytes(file: Path, content: bytes) -> None:
    """Atomic: a reader sees the old content or the new one."""
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
