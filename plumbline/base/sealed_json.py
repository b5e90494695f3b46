"""JSON files with a hash of their own content, so that an edited or half lost one is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from plumbline.base.files import json_sha256, write_json
from plumbline.base.json_text import read_json

SEAL = "sha256"
"""The key of the hash."""


def write_sealed(file: Path, content: dict[str, Any]) -> None:
    written = json.loads(json.dumps(content, allow_nan=False))  # keys are texts, as when it is read
    write_json(file, {**written, SEAL: json_sha256(written)})


def read_sealed(file: Path, version: int) -> dict[str, Any]:
    """The content, whose key `format_version` has this value.

    Raises
    ------
    ValueError
        It is not the content that `write_sealed` wrote, or of another version.
    OSError
        The file cannot be read.
    """
    if file.exists() and not file.is_file():
        raise ValueError("it is no file")
    content = read_json(file)
    if not isinstance(content, dict):
        raise ValueError(f"wanted an object, found {type(content).__name__}")
    found = content.get("format_version")
    if found != version:
        raise ValueError(f"format version {found!r}, but this Plumbline reads {version}")
    if content.pop(SEAL, None) != json_sha256(content):
        raise ValueError("it was changed after it was written")
    return content
