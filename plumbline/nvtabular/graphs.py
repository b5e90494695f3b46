"""The graph that a configuration names."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from plumbline.base.places import ROOT
from plumbline.columns.kinds import FeatureKind
from plumbline.nvtabular.library import Workflow
from plumbline.settings import CriteoWorkflow, StandardWorkflow


def build(
    kinds: Mapping[str, FeatureKind],
    settings: CriteoWorkflow | StandardWorkflow,
    vocabulary_folder: Path,
) -> Workflow:
    """The workflow of `settings.graph`, not fitted yet."""
    module = _module(ROOT / "workflows" / f"{settings.graph}.py")
    return module.build(kinds, settings, vocabulary_folder)


def _module(file: Path) -> Any:
    spec = importlib.util.spec_from_file_location(f"workflows.{file.stem}", file)
    if spec is None or spec.loader is None:
        raise ImportError(file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
