"""Verify a model repository before a server loads it: `python -m serving.verify FOLDER`.

The Python backend checks a model's files again when it loads it. ONNX Runtime does not, so a GPU
server is started only after this. The server's image runs it, so it imports only what is in it.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from plumbline.base.errors import PlumblineError
from plumbline.serving.contract.versions import verify_repository


def main() -> int:
    """0, or 2 and the reason on the standard error."""
    parser = argparse.ArgumentParser(description="Verify all files of a model repository.")
    parser.add_argument("repository", type=Path, help="The model repository folder.")
    repository = parser.parse_args().repository
    try:
        count = verify_repository(repository, large_files=True)
    except PlumblineError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    sys.stdout.write(f"{count} models verified.\n")
    return 0
