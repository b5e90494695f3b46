"""SHA-256 of files and of JSON values."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from plumbline.base.files import open_to_read


def file_sha256(file: Path) -> str:
    digest = hashlib.sha256()
    with open_to_read(file) as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def json_sha256(value: Any) -> str:
    """Hash of the canonical JSON form: sorted keys, no white space."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()
