"""The server's own overhead: models with our models' inputs and outputs that compute nothing."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

from plumbline.serving.contract.interface import (
    DLRM_MODEL,
    ENSEMBLE_MODEL,
    FEATURES_MODEL,
    FUSED_MODEL,
)
from plumbline.serving.repository.export import FIRST_VERSION

ENTRY = Path(__file__).with_name("serve_noop_model.py")
"""Importable only in the server's Python process."""
NOOP, NOOP_ENSEMBLE = "noop", "noop_ensemble"

_NAMES = {
    FUSED_MODEL: NOOP,
    ENSEMBLE_MODEL: NOOP_ENSEMBLE,
    FEATURES_MODEL: "noop_features",
    DLRM_MODEL: "noop_dlrm",
}


def add_noops(repository: Path) -> None:
    """Add a no-op copy of each of our models, with the same config, batching included."""
    for ours, name in _NAMES.items():
        config = (repository / ours / "config.pbtxt").read_text(encoding="utf-8")
        version = repository / name / FIRST_VERSION
        version.mkdir(parents=True)
        (repository / name / "config.pbtxt").write_text(renamed(config), encoding="utf-8")
        if ours != ENSEMBLE_MODEL:
            shutil.copyfile(ENTRY, version / "model.py")


def renamed(config: str) -> str:
    """The config with its name and the names of an ensemble's steps replaced."""
    return re.sub(
        r'^( *)(name|model_name): "(\w+)"$',
        lambda match: f'{match[1]}{match[2]}: "{_NAMES.get(match[3], match[3])}"',
        config,
        flags=re.MULTILINE,
    )
