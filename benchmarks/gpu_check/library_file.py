"""The file of the built kernels, and the programs of the CUDA toolkit."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

from benchmarks.gpu_check.library import KERNELS

FOLDER = Path(__file__).parents[2] / ".gpu-check"
"""Of what is built; git ignores it."""


def library_file(is_emulated: bool) -> Path:
    """Where the library of the present sources is, or will be."""
    digest = hashlib.sha256()
    folders = ("cuda", "emulation") if is_emulated else ("cuda",)
    for folder in folders:
        for file in sorted((KERNELS / folder).iterdir()):
            digest.update(f"{folder}/{file.name}\0".encode() + file.read_bytes())
    name = "emulated" if is_emulated else "kernels"
    return FOLDER / f"{name}-{digest.hexdigest()[:16]}.so"


def find_tool(name: str) -> str | None:
    """A program of the CUDA toolkit: on the path, or where the toolkit is usually installed."""
    homes = [os.environ.get(name) for name in ("CUDA_HOME", "CUDA_PATH")]
    folders = [f"{home}/bin" for home in (*homes, "/usr/local/cuda") if home]
    return shutil.which(name) or shutil.which(name, path=os.pathsep.join(folders))
