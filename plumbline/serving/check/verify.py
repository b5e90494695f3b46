"""Verify a model repository before a server loads it.

The Python backend checks a model's files when it loads it. ONNX Runtime does not, so a GPU server
must only start after this check.
"""

from __future__ import annotations

from pathlib import Path

from plumbline.serving.contract.versions import verify_repository


def verify(repository: Path) -> str:
    """Check every file against its hash, and return a line that says what was verified.

    Raises
    ------
    PlumblineError
        A file is missing, or was changed after the export.
    """
    return f"{verify_repository(repository, large_files=True)} models verified."
