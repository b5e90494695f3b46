"""Verify a model repository before a server loads it: `python -m serving.verify FOLDER`.

The Python steps check their files again when they are loaded. ONNX Runtime does not, so a server
with a GPU is started only after this; the server's image runs it first. Imports only what that has.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from plumbline.base.errors import PlumblineError
from plumbline.serving.repository.integrity import verify_configs
from plumbline.serving.repository.version_files import verify_versions


def main() -> int:
    """0, or 2 and the reason on the standard error."""
    parser = argparse.ArgumentParser(description="Verify all files of a model repository.")
    parser.add_argument("repository", type=Path, help="The model repository folder.")
    repository = parser.parse_args().repository
    try:
        vouched = verify_configs(repository)
        count = verify_versions(repository, large_files=True)
    except PlumblineError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    configs = "configs verified too" if vouched else "nothing vouches for the configs"
    sys.stdout.write(f"{count} versions verified, {configs}.\n")
    return 0
