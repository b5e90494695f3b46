"""Where the files that a user edits or deploys are: beside the package, or inside it.

A checkout has them beside the package, where they are edited. A wheel installs nothing but the
package, so it has them inside.
"""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]
_IN_WHEEL = _PACKAGE / "shipped"

SOURCES = _PACKAGE.parent
"""The folder that `plumbline` is imported from."""

ROOT = _IN_WHEEL if _IN_WHEEL.is_dir() else SOURCES
"""The folder that holds `workflows/`, `serving/models/`, `serving/gpu_models/` and `configs/`."""
