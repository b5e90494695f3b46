"""Verify a model repository before a server loads it.

The Python backend checks a model's files when it loads it. ONNX Runtime does not, so a GPU server
must only start after this check. The server's image has no command-line library, so it runs this
module: `python3 -m plumbline.serving.check.verify FOLDER`. It imports only what the image has.
"""

from __future__ import annotations

import sys
from pathlib import Path

from plumbline.base.exit_status import exit_status
from plumbline.serving.contract.versions import verify_repository


def verify(repository: Path) -> str:
    """Check every file against its hash, and return a line that says what was verified.

    Raises
    ------
    PlumblineError
        A file is missing, or was changed after the export.
    """
    return f"{verify_repository(repository, large_files=True)} models verified."


if __name__ == "__main__":
    with exit_status():
        sys.stdout.write(f"{verify(Path(sys.argv[1]))}\n")
