"""Where the files that a user edits or deploys lie: beside the package."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
"""The folder that holds `plumbline/`, `workflows/`, `serving/` and `configs/`."""
