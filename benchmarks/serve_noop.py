"""The floor of the server: models of our models' inputs and outputs that compute nothing."""

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
"""Only the server's own Python process can import it."""
NOOP, NOOP_ENSEMBLE = "noop", "noop_ensemble"

_NAMES = {
    FUSED_MODEL: NOOP,
    ENSEMBLE_MODEL: NOOP_ENSEMBLE,
    FEATURES_MODEL: "noop_features",
    DLRM_MODEL: "noop_dlrm",
}


def add_noops(repository: Path) -> None:
    """Beside each of our models one with the same config under another name, batching included."""
    for ours, name in _NAMES.items():
        config = (repository / ours / "config.pbtxt").read_text(encoding="utf-8")
        version = repository / name / FIRST_VERSION
        version.mkdir(parents=True)
        (repository / name / "config.pbtxt").write_text(renamed(config), encoding="utf-8")
        if ours != ENSEMBLE_MODEL:
            shutil.copyfile(ENTRY, version / "model.py")


def renamed(config: str) -> str:
    """The config's own name, and those of an ensemble's steps."""
    return re.sub(
        r'^( *)(name|model_name): "(\w+)"$',
        lambda found: f'{found[1]}{found[2]}: "{_NAMES.get(found[3], found[3])}"',
        config,
        flags=re.MULTILINE,
    )
