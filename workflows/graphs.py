"""The graph that a configuration names."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from features.columns import FeatureKind
from features.settings import CriteoWorkflow, StandardWorkflow
from workflows import criteo, standard
from workflows.library import Workflow


def build(
    kinds: Mapping[str, FeatureKind],
    settings: CriteoWorkflow | StandardWorkflow,
    vocabulary_folder: Path,
) -> Workflow:
    """The workflow of `settings.graph`, not fitted yet."""
    if isinstance(settings, CriteoWorkflow):
        return criteo.build(kinds, settings, vocabulary_folder)
    return standard.build(kinds, settings, vocabulary_folder)
