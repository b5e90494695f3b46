"""Verify a model repository before a server loads it.

The Python steps check their files again when they are loaded. ONNX Runtime does not, so a server
with a GPU is started only after this. The server's image runs this file by itself, since it has no
command-line library: `python3 -m plumbline.serving.check.verify FOLDER`. Imports only what the
image has.
"""

from __future__ import annotations

import sys
from pathlib import Path

from plumbline.base.exit_status import exit_status
from plumbline.serving.repository.integrity import verify_configs
from plumbline.serving.repository.version_files import verify_versions


def verify(repository: Path) -> str:
    """Check every file against its hash; gives one line that says what was verified.

    Raises
    ------
    PlumblineError
        A file that is missing, or is not what was exported.
    """
    vouched = verify_configs(repository)
    count = verify_versions(repository, large_files=True)
    configs = "configs verified too" if vouched else "nothing vouches for the configs"
    return f"{count} versions verified, {configs}."


if __name__ == "__main__":
    with exit_status():
        sys.stdout.write(f"{verify(Path(sys.argv[1]))}\n")
