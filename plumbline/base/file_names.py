"""Names of files: those made from column names, which may be any text, and those given."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

_LONGEST_BYTES = 120
"""With prefix and suffix, less than the 255 bytes that file systems allow."""
_KEPT_CHARACTERS = 40
_REFUSED = re.compile(r"[\x00-\x1f\x7f/\\~*?\[\]<>:\"|]")
"""Characters that mean something to a file system, or to a library that opens the file."""


def file_name(name: str) -> str:
    """The part of a file's name that stands for `name`: `name` itself if it is short and plain.

    Any other name becomes its first letters and digits, a tilde, and 16 digits of its SHA-256. No
    plain name has a tilde, so two names never share a file.

    >>> file_name("price"), file_name("a.b c")
    ('price', 'a.b c')
    >>> file_name("km/h")
    'km_h~3c9db5a7f5e15519'
    """
    written = name.encode("utf-8", "surrogatepass")
    is_plain = not _REFUSED.search(name) and not name.startswith(".") and name.strip() == name
    if is_plain and 0 < len(written) <= _LONGEST_BYTES:
        return name
    start = re.sub(r"[^0-9A-Za-z]+", "_", name)[:_KEPT_CHARACTERS].strip("_")
    return f"{start}~{hashlib.sha256(written).hexdigest()[:16]}"


def is_utf8(path: Path) -> bool:
    """Whether libraries that take names in UTF-8 alone, such as Arrow and Polars, can open it."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True
