"""Paths of the files that a user edits or deploys.

A checkout has them beside the package. A wheel installs only the package, so it has them inside.
"""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
_IN_WHEEL = _PACKAGE / "shipped"

SOURCES = _PACKAGE.parent
"""The folder that `plumbline` is imported from."""

ROOT = _IN_WHEEL if _IN_WHEEL.is_dir() else SOURCES
"""The folder that holds `workflows/`, `serving/models/`, `serving/gpu_models/` and `configs/`."""
